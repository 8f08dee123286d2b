"""Finds out whether a study's record is what was written: the design, the ledger, and every log."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ablation.errors import FolderFault, RecordFault
from ablation.ledger import Attempt, attempts_in, ledger_origin, log_origin
from ablation.record import END, LogCheck, read_log, verify_log
from ablation.store import StudyFolder

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

__all__ = ["Finding", "StudyCheck", "verify_attempt", "verify_study"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something about one file of the record."""

    file: str
    text: str


@dataclass(frozen=True, kw_only=True)
class StudyCheck:
    """What a study's record was found to be."""

    head: str = ""
    """Digest of the ledger's last line: whoever has it can tell whether any line was changed since."""
    logs: int = 0
    lines: int = 0
    finished: int = 0
    """Trials with a result."""
    trials: int = 0
    problems: tuple[Finding, ...] = ()
    """What was edited, cut, dropped or copied."""
    notes: tuple[Finding, ...] = ()
    """What is unfinished and can be gone on with."""

    @property
    def ok(self) -> bool:
        """Nothing was changed."""
        return not self.problems


def verify_study(path: Path) -> StudyCheck:
    """Check a study's folder from the design down to the last line of each log.

    Raises:
        FolderFault: there is no study in the folder.
    """
    try:
        folder = StudyFolder.load(path)
        ledger, attempts = _ledger(folder)
    except RecordFault as fault:
        return StudyCheck(problems=(Finding(file=fault.place, text=fault.problem),))
    problems, notes, lines, expected = [], [], 0, set()
    for attempt in (each for known in attempts.values() for each in known):
        log = folder.log_holding(attempt.key, attempt.number)
        name = f"trials/{log.name}"
        if not log.exists():
            if attempt.lines or attempt.status == "ended":
                problems.append(Finding(file=name, text=f"is missing: attempt {attempt.number} wrote it"))
            continue
        expected.add(log.name)
        check = verify_log(log, origin=log_origin(folder, attempt))
        lines += check.lines
        problems += [Finding(file=name, text=text) for text in _problems(check, attempt)]
        notes += [Finding(file=name, text=text) for text in _notes(check, attempt)]
    strangers = {log.name for log in (path / "trials").iterdir()} - expected
    problems += [Finding(file=f"trials/{name}", text="is not in the ledger") for name in sorted(strangers)]
    return StudyCheck(
        head=ledger.head,
        logs=len(expected),
        lines=lines + ledger.lines,
        finished=sum(known[-1].status == "ended" for known in attempts.values()),
        trials=len(folder.keys),
        problems=tuple(problems),
        notes=(*notes, *_unfinished(folder, attempts, torn=ledger.torn)),
    )


def verify_attempt(folder: StudyFolder, key: str, number: int | None = None) -> Attempt:
    """Check one attempt's log, and the ledger that vouches for it; return the attempt with its log's head.

    Args:
        folder: the study's.
        key: the trial's.
        number: of the attempt; the latest unless told.

    Raises:
        RecordFault: one of them is not what was written.
        FolderFault: there is no such attempt.
    """
    _, attempts = _ledger(folder)
    known = attempts.get(key, [])
    if not known or not 1 <= (number or len(known)) <= len(known):
        had = f"has {len(known)} attempt{'s' * (len(known) != 1)}" if known else "has not begun"
        raise FolderFault(f"trial {key} {had}: `redline resume {folder.path}` runs what is not done")
    attempt = known[(number or len(known)) - 1]
    log = folder.log_holding(key, attempt.number)
    if not log.exists():
        raise RecordFault(f"trials/{log.name}", f"is missing: attempt {attempt.number} wrote it")
    check = verify_log(log, origin=log_origin(folder, attempt))
    for text in _problems(check, attempt):
        raise RecordFault(f"trials/{log.name}", text)
    return replace(attempt, head=check.head, lines=check.lines)


def _ledger(folder: StudyFolder) -> tuple[LogCheck, dict[str, list[Attempt]]]:
    if not folder.ledger.exists():
        if any((folder.path / "trials").iterdir()):
            raise RecordFault("ledger.jsonl", "is missing, though there are logs in trials/")
        none = LogCheck(path=folder.ledger, lines=0, bytes=0, head=ledger_origin(folder), finished=False)
        return none, {}
    check = verify_log(folder.ledger, origin=ledger_origin(folder))
    if check.problem and not check.torn:
        raise RecordFault("ledger.jsonl", check.problem)
    events = list(read_log(folder.ledger))
    if any(
        event.get("study_file", folder.design_file_digest) != folder.design_file_digest for event in events
    ):
        raise RecordFault("study.json", "was edited since the study began")
    attempts = attempts_in(events)
    unknown = set(attempts) - set(folder.keys)
    if unknown:
        raise RecordFault("ledger.jsonl", f"has a trial that is not in the design: {min(unknown)}")
    return check, attempts


def _problems(check: LogCheck, attempt: Attempt) -> Iterator[str]:
    cut_by_kill = check.torn and attempt.status != "ended"
    if check.problem and not cut_by_kill:
        yield check.problem
    elif attempt.status != "started" and (check.lines, check.head) != (attempt.lines, attempt.head):
        if check.lines < attempt.lines:
            yield f"lines {check.lines + 1} to {attempt.lines} were cut off"
        else:
            yield f"line {check.lines} was edited or added: the ledger has another end"
    elif attempt.status == "ended" and not check.finished:
        yield f"has no {END!r} line, though its attempt ended"


def _notes(check: LogCheck, attempt: Attempt) -> Iterator[str]:
    if attempt.status == "started":
        yield "is whole but not in the ledger yet" if check.finished else "is of an attempt that did not end"


def _unfinished(
    folder: StudyFolder, attempts: Mapping[str, list[Attempt]], *, torn: bool
) -> Iterator[Finding]:
    ended = sum(bool(known) and known[-1].status == "ended" for known in attempts.values())
    if ended < len(folder.keys):
        text = f"{len(folder.keys) - ended} of {len(folder.keys)} trials have no result: `redline resume`"
        yield Finding(file="study.json", text=text)
    if torn:
        yield Finding(file="ledger.jsonl", text="its last line was not written to its end")
