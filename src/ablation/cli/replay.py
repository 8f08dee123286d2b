"""`redline replay`."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from ablation.cli import catalogue
from ablation.cli.conduct import default_folder
from ablation.cli.diagnostics import configure_diagnostics
from ablation.cli.faults import DONE, UNSOUND, Stopped, WrongUse, plain_faults
from ablation.cli.interrupts import Interrupted, run_interruptibly
from ablation.cli.loading import absolute, load_study
from ablation.cli.nearest import trial_named
from ablation.cli.options import as_json, environment_option, study_folder
from ablation.cli.printing import print_json
from ablation.cli.requests import study_again
from ablation.progress import watching
from ablation.replay import replay_trial
from ablation.replay.telling import print_replay
from ablation.store import StudyFolder
from environments import Halted

if TYPE_CHECKING:
    from ablation.design import Study
    from ablation.replay import Replay

__all__ = ["replay"]


@click.command
@study_folder
@click.argument("trial")
@click.option(
    "--attempt", type=click.IntRange(min=1), help="An earlier attempt that was void or interrupted."
)
@click.option("--stop", is_flag=True, help="End the episode at the first divergence, and judge it there.")
@click.option(
    "--exact",
    is_flag=True,
    help="Compare byte for byte, times and fresh keys too, and give decisions back to the byte.",
)
@environment_option(default=None, otherwise="In place of the trial's.")
@click.option(
    "--study",
    "script",
    metavar="FILE.py",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Defines the study, where a program began it that redline cannot run again.",
)
@click.option(
    "--out",
    "-o",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of the replay's own record. [default: runs/replay-TRIAL-TIME]",
)
@click.option("--full", is_flag=True, help="Show every divergence, and texts whole.")
@as_json
@click.pass_context
@plain_faults()
def replay(context: click.Context, /, folder: Path, trial: str, **options: Any) -> None:
    """Take a recorded trial's decisions again on a fresh machine, without a model.

    The world is laid out anew from the same seed, the subject's answers are given back from the record in
    order, and whatever the machine or the scaffold says is compared with what it said then. It answers:
    does this behaviour still come to this, and if not, where did it part? What follows a divergence is
    counterfactual: decisions that were made for another world. The replay keeps a record of its own.

    Keys and nonces are drawn anew in every trial, and clocks run on: such differences are counted and let
    pass, and a key that the subject had read is put into its later decisions as it reads now.

    TRIAL is a key as reports give it, ARM--SCENARIO--SEED, or enough of it to be clear. The exit status is
    0 where everything came to the same, and 1 where something did not.

    \b
    Examples:
      redline replay runs/my-study full--self-replication--3
      redline replay runs/my-study full--self-replication--3 --stop --json
      redline replay runs/my-study no-repair--find-fact--0 --environment vm
    """  # noqa: D301 - \b is click's mark for text that is not to be wrapped
    configure_diagnostics()
    stored = StudyFolder.load(folder)
    key = trial_named(trial, stored.keys)
    found = _replayed(stored, _study(stored, options), key, options)
    if options["as_json"]:
        print_json(
            {
                "holds": found.holds,
                **asdict(found),
                "changes": list(found.changes),
                "folder": str(found.folder),
            }
        )
    else:
        print_replay(found, Console(), full=options["full"])
    Console(stderr=True).print(f"saved: {found.folder}", markup=False, highlight=False, soft_wrap=True)
    context.exit(DONE if found.holds else UNSOUND)


def _study(stored: StudyFolder, options: dict[str, Any]) -> Study:
    script: Path | None = options["script"]
    if script is None and stored.origin.kind == "python":
        raise WrongUse(
            f"the study in {stored.path} was started by a program: give --study FILE.py, a file that defines "
            "it as `study = Study(...)`, or call ablation.replay.replay_trial in that program"
        )
    study = study_again(stored) if script is None else load_study(script, home=script.resolve().parent)
    if options["environment"] is None:
        return study
    return replace(study, environment=catalogue.environment(absolute(options["environment"])))


def _replayed(stored: StudyFolder, study: Study, key: str, options: dict[str, Any]) -> Replay:
    out = options["out"] or default_folder(f"replay-{key}")
    try:
        with watching(Console(stderr=True), title=f"replay of {key}") as display:
            return run_interruptibly(
                replay_trial(
                    stored,
                    study,
                    key,
                    out=out,
                    attempt=options["attempt"],
                    stop=options["stop"],
                    exact=options["exact"],
                    on_progress=display.show,
                )
            )
    except Interrupted:
        raise Stopped("interrupted; a replay is not gone on with: run the same command again") from None
    except Halted as fault:
        raise Stopped(f"halted ({fault}); run the same command again") from fault
