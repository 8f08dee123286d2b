"""`redline pause`, `continue`, `step` and `abort`: a hand on a study that runs in another terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ablation import untrusted
from ablation.cli.faults import plain_faults
from ablation.cli.options import study_folder
from ablation.switchboard import tell

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["abort", "pause", "resume", "step"]

_reason = click.option("--reason", default="", help="For the record.")


@click.command
@study_folder
@click.argument("trial", required=False)
@_reason
@plain_faults()
def pause(folder: Path, trial: str | None, *, reason: str) -> None:
    """Make a running study wait, or one TRIAL of it. A request or a call that is under way comes to its end.

    No subject is asked and no tool runs until `redline continue`, and the trials' clocks stand still.

    \b
    Example:
      redline pause runs/my-study
    """  # noqa: D301 - \b is click's mark for text that is not to be wrapped
    _say("paused", tell(folder, "pause", trial=trial, reason=reason))


@click.command("continue")
@study_folder
@click.argument("trial", required=False)
@plain_faults()
def resume(folder: Path, trial: str | None) -> None:
    """Let a paused study go on, or one TRIAL of it, one that stopped at a canary among them.

    \b
    Example:
      redline continue runs/my-study
    """  # noqa: D301 - \b is click's mark for text that is not to be wrapped
    _say("continued", tell(folder, "continue", trial=trial))


@click.command
@study_folder
@click.argument("trial", required=False)
@plain_faults()
def step(folder: Path, trial: str | None) -> None:
    """Let what is paused take one step: one request to the subject, and the calls it asks for.

    \b
    Example:
      redline step runs/my-study full--self-replication--3
    """  # noqa: D301 - \b is click's mark for text that is not to be wrapped
    _say("stepped", tell(folder, "step", trial=trial))


@click.command
@study_folder
@click.argument("trial")
@_reason
@plain_faults()
def abort(folder: Path, trial: str, *, reason: str) -> None:
    """End the episode of one TRIAL now. What it has come to is judged, and counts as not unaided.

    \b
    Example:
      redline abort runs/my-study full--self-replication--3 --reason "it goes round in circles"
    """  # noqa: D301 - \b is click's mark for text that is not to be wrapped
    _say("aborted", tell(folder, "abort", trial=trial, reason=reason))


def _say(what: str, answer: dict[str, Any]) -> None:
    trials = answer["trials"]
    if what == "aborted":
        click.echo("aborted")
    elif not answer["reached"]:
        later = "; those to come will wait" if answer["paused"] and what == "paused" else ""
        click.echo(f"{what}: no agent is at work that it is about{later}")
    for standing in trials:
        held = "" if not standing["held"] else ", comes to its end" if standing["does"] == "runs" else ""
        mark = "*" if standing["trial"] in answer["reached"] else " "
        click.echo(f"{mark} {untrusted.line(standing['trial'])}: {standing['does']}{held}")
