"""Runs a recorded trial's decisions against a fresh machine, and says what came of them."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ablation.design import Study
from ablation.errors import NameUnknown
from ablation.record import read_log
from ablation.replay.comparison import compare
from ablation.replay.supervision import RecordedDecisions
from ablation.replay.world import Overheard
from ablation.runner import run_study
from ablation.store import Origin, StudyFolder, read_record
from ablation.verify import verify_attempt
from scaffold.models.recorded import Recorded, Recording, Renaming

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from ablation.design import Arm, Trial
    from ablation.replay.comparison import Divergence
    from ablation.tally import Progress
    from ablation.types import TrialRecord

__all__ = ["Ending", "Replay", "replay_trial"]

_ABOUT_SUBJECTS = re.compile(r"(arms\[\d+\]\.)?subject\b")


@dataclass(frozen=True, kw_only=True)
class Ending:
    """What a trial came to."""

    outcome: str
    """`interrupted` where its log has no end."""
    stop: str | None = None
    limit: str | None = None
    cause: str = ""
    """Untrusted text."""
    milestones: tuple[tuple[str, bool], ...] = ()

    @classmethod
    def of(cls, record: TrialRecord | None) -> Ending:
        """Read it from a trial's result; None where there is none."""
        if record is None:
            return cls(outcome="interrupted")
        return cls(
            outcome=record.outcome,
            stop=record.stop,
            limit=record.limit,
            cause=record.cause,
            milestones=tuple((each.name, each.passed) for each in record.milestones),
        )


@dataclass(frozen=True, kw_only=True)
class Replay:
    """A recorded trial, replayed."""

    trial: str
    attempt: int
    subject: str
    simulated: bool
    environment: str
    """Where it was replayed."""
    decisions: int
    """On record."""
    replayed: int
    divergences: tuple[Divergence, ...]
    """In the order of steps. What comes after the first is counterfactual: decisions for another world."""
    passed: Mapping[str, int]
    """What differed and was let pass, because it differs by design: `time`, `process`, `value`s that look
    drawn anew, `known value`s that the preparation has drawn."""
    renamed: tuple[int, ...]
    """Steps whose decision holds a value as it reads now, in place of what was read then."""
    then: Ending
    now: Ending
    changes: tuple[str, ...]
    """What about the study is not as it was: `field: before -> after`."""
    folder: Path
    """Holds the replay's own record."""

    @property
    def first(self) -> Divergence | None:
        """Where the replay left the record."""
        return self.divergences[0] if self.divergences else None

    @property
    def holds(self) -> bool:
        """Every decision was taken again, nothing answered otherwise, and it came to the same."""
        ended = (self.then.outcome, self.then.milestones) == (self.now.outcome, self.now.milestones)
        return not self.divergences and self.replayed == self.decisions and ended


async def replay_trial(
    source: StudyFolder,
    study: Study,
    key: str,
    *,
    out: Path | str,
    attempt: int | None = None,
    stop: bool = False,
    exact: bool = False,
    on_progress: Callable[[Progress], None] | None = None,
) -> Replay:
    """Replay one trial of a study in a world that is laid out anew from the same seed, without a model.

    Args:
        source: the folder that holds the trial.
        study: the same study, built again; with another `environment`, on another kind of machine.
        key: of the trial.
        out: a new folder for the replay's own record.
        attempt: an earlier one; the latest unless told.
        stop: end the episode at the first divergence, and judge what it has come to.
        exact: compare byte for byte, and give decisions back to the byte.
        on_progress: called as the trial begins and ends.

    Raises:
        RecordFault: the log is not what was written.
        NameUnknown: there is no such trial, or it has no decisions to take again.
        And whatever `run_study` does.
    """
    found = verify_attempt(source, key, attempt)
    log = source.log_holding(key, found.number)
    then = Recording.of(read_log(log))
    trial, arm = _trial(study, key)
    _require_decisions(then, trial)
    known: set[str] = set()
    renaming = Renaming(known=known, exact=exact)
    recorded = replace(_recorded(trial, then, found.head), exact=exact, stop=stop, renaming=renaming)
    again = _alone(study, trial, arm, subject=recorded, known=known, log=log)
    result = await run_study(again, out, concurrency=1, on_progress=on_progress, origin=Origin(kind="replay"))
    (record,) = result.records
    renaming = Renaming(known=known, exact=exact)  # what was learnt on the way is learnt again, and counted
    seen = compare(then, Recording.of(read_log(result.folder / record.log)), renaming)
    return Replay(
        trial=key,
        attempt=found.number,
        subject=recorded.of,
        simulated=recorded.simulated,
        environment=record.environment,
        decisions=then.decisions,
        replayed=seen.replayed,
        divergences=seen.divergences,
        passed=dict(renaming.passed),
        renamed=seen.renamed,
        then=Ending.of(read_record(log, name=log.name)),
        now=Ending.of(record),
        changes=_changes(source, study),
        folder=result.folder,
    )


def _recorded(trial: Trial, recording: Recording, source: str) -> Recorded:
    subject = trial.subject
    return Recorded(of=subject.name, simulated=subject.simulated, source=source, recording=recording)


def _alone(study: Study, trial: Trial, arm: Arm, *, subject: Recorded, known: set[str], log: Path) -> Study:
    """Return the study of one trial, which is run once; what its world draws anew is then in `known`."""
    overheard = Overheard(prepare=trial.scenario.prepare, values=known)
    return Study(
        name=f"replay-{study.name}"[:64].rstrip("-."),
        question=f"Does {trial.key} of {study.name} come to the same on a fresh machine?",
        arms=[replace(arm, subject=None)],
        scenarios=[replace(trial.scenario, prepare=overheard)],
        seeds=[trial.key.seed],
        subject=subject,
        environment=study.environment,
        budget=trial.budget,
        controls=False,
        void_retries=0,
        oversight=RecordedDecisions.of(read_log(log)),
        canaries=trial.canaries,
    )


def _trial(study: Study, key: str) -> tuple[Trial, Arm]:
    trial = next((each for each in study.trials() if str(each.key) == key), None)
    if trial is None:
        raise NameUnknown(
            f"the study as it is built now has no trial {key}: an arm, a world or a seed is gone"
        )
    return trial, next(arm for arm in study.all_arms if arm.name == trial.key.arm)


def _require_decisions(then: Recording, trial: Trial) -> None:
    if trial.role != "arm":
        raise NameUnknown(
            f"{trial.key} is a control: it asks no subject, so there is no decision to take again; "
            "`redline run SCENARIO --scaffold reference` plays the procedure"
        )
    if not then.decisions:
        raise NameUnknown(f"{trial.key} ended before the subject decided anything: `redline show` says why")


def _changes(source: StudyFolder, study: Study) -> tuple[str, ...]:
    """Name what differs about the study; its subjects are not asked, so they do not count."""
    changes = source.frozen.changed(study.freeze())
    return tuple(each for each in changes if not _ABOUT_SUBJECTS.match(each))
