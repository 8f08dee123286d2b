"""`redline show`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from rich.console import Console

from ablation.cli.faults import WrongUse, plain_faults
from ablation.cli.nearest import trial_named
from ablation.cli.options import study_folder
from ablation.show import show_trial
from ablation.store import StudyFolder

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["show"]


@click.command
@study_folder
@click.argument("trial")
@click.option(
    "--attempt", type=click.IntRange(min=1), help="An earlier attempt that was void or interrupted."
)
@click.option("--full", is_flag=True, help="Print texts and outputs whole.")
@plain_faults()
def show(folder: Path, trial: str, *, attempt: int | None, full: bool) -> None:
    """Read one trial step by step: what the agent was told, said and did, and what the judge saw.

    TRIAL is a key as reports give it, ARM--SCENARIO--SEED, or enough of it to be clear.

    \b
    Examples:
      redline show runs/my-study full--self-replication--3
      redline show runs/my-study no-repair--self-replication--3 --full | less -R
    """  # noqa: D301 - \b is click's mark for text that is not to be wrapped
    study = StudyFolder.load(folder)
    key = trial_named(trial, study.keys)
    log = study.log_holding(key, attempt) if attempt else study.log(key)
    if not log.exists():
        raise WrongUse(f"trial {key} has no log yet: `redline resume {folder}` runs it")
    show_trial(log, Console(), full=full)
