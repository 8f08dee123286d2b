"""The ledger: a hash-chained list of every attempt's start and end, with the head of its log.

A log alone cannot show that it was cut at the end or thrown away; the ledger can. It is also how a killed
study goes on: attempts that were started and never ended are settled from their logs.
"""

from __future__ import annotations

import os
import platform
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from ablation.errors import RecordFault
from ablation.record import EventLog, digest, genesis, last_line, read_log, verify_log

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from ablation.store import StudyFolder
    from ablation.types import Outcome

__all__ = ["Attempt", "Ledger", "attempts_in", "log_origin"]

_KEY = "ledger"


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One run of a trial, as the ledger has it."""

    key: str
    number: int
    """Counts from 1 within the trial."""
    status: Literal["started", "ended", "interrupted"] = "started"
    outcome: Outcome | None = None
    head: str = ""
    """Digest of the last line of its log."""
    lines: int = 0


def log_origin(folder: StudyFolder, attempt: Attempt) -> str:
    """Return the digest that the first line of an attempt's log must carry."""
    return genesis(folder.frozen.digest, attempt.key, attempt.number)


def ledger_origin(folder: StudyFolder) -> str:
    """Return the digest that the first line of the ledger must carry."""
    return genesis(folder.frozen.digest, _KEY, 1)


def attempts_in(events: Iterable[Mapping[str, Any]]) -> dict[str, list[Attempt]]:
    """Gather the attempts of each trial from a ledger's events.

    Raises:
        RecordFault: the events do not make sense together.
    """
    attempts: dict[str, list[Attempt]] = {}
    for event in events:
        kind = event["kind"]
        if kind not in {"started", "ended", "interrupted"}:
            continue
        known = attempts.setdefault(event["key"], [])
        expected = len(known) + (kind == "started")
        if event["attempt"] != expected or (kind != "started" and known[-1].status != "started"):
            raise RecordFault("ledger.jsonl", f"line {event['n'] + 1} does not fit the lines before")
        if kind == "started":
            known.append(Attempt(key=event["key"], number=event["attempt"]))
        else:
            known[-1] = replace(
                known[-1],
                status=kind,
                outcome=event.get("outcome"),
                head=event["head"],
                lines=event["lines"],
            )
    return attempts


@dataclass(kw_only=True)
class Ledger:
    """The open ledger of a study's folder, which the caller holds."""

    folder: StudyFolder
    _log: EventLog = field(repr=False)
    _attempts: dict[str, list[Attempt]] = field(default_factory=dict, repr=False)

    @classmethod
    @contextmanager
    def open(cls, folder: StudyFolder) -> Iterator[Ledger]:
        """Start the ledger, or go on with it and settle what a killed runner left open.

        Raises:
            RecordFault: a finished log, or the ledger itself, is not what was written.
            DiskFull: there is no room.
        """
        fresh = not folder.ledger.exists()
        if fresh and any((folder.path / "trials").iterdir()):
            raise RecordFault("ledger.jsonl", "is missing, though there are logs in trials/")
        begin = EventLog.create if fresh else EventLog.reopen
        with begin(folder.ledger, origin=ledger_origin(folder)) as log:
            ledger = cls(folder=folder, _log=log)
            if not fresh:
                ledger._attempts = attempts_in(read_log(folder.ledger))
            log.append(
                "opened",
                {
                    "study_file": folder.design_file_digest,
                    "host": platform.node(),
                    "kernel": platform.release(),
                    "process": os.getpid(),
                },
            )
            ledger._settle()
            try:
                yield ledger
            finally:
                log.sync()

    def attempts(self, key: str) -> list[Attempt]:
        """Return a trial's attempts so far, oldest first."""
        return self._attempts.get(key, [])

    def voids(self, key: str) -> int:
        """Return how many of a trial's attempts could not be measured."""
        return sum(attempt.outcome == "void" for attempt in self.attempts(key))

    @property
    def count(self) -> int:
        """Return the number of attempts of all trials."""
        return sum(map(len, self._attempts.values()))

    def start(self, key: str) -> EventLog:
        """Begin a further attempt: the log before it is set aside and a new one opened."""
        known = self._attempts.setdefault(key, [])
        attempt = Attempt(key=key, number=len(known) + 1)
        path = self.folder.log(key)
        if path.exists():
            path.rename(self.folder.log_of_attempt(key, len(known)))
        self._log.append("started", {"key": key, "attempt": attempt.number})
        known.append(attempt)
        return EventLog.create(path, origin=log_origin(self.folder, attempt))

    def note(self, kind: str, fields: Mapping[str, Any]) -> None:
        """Enter something that is about the sitting and not about one attempt."""
        self._log.append(kind, fields)

    def end(self, key: str, *, outcome: Outcome, head: str, lines: int) -> None:
        """Enter that the running attempt of a trial came to its end."""
        self._close(
            replace(self.attempts(key)[-1], status="ended", outcome=outcome, head=head, lines=lines),
        )

    def _close(self, attempt: Attempt) -> None:
        self._log.append(
            attempt.status,
            {
                "key": attempt.key,
                "attempt": attempt.number,
                "outcome": attempt.outcome,
                "head": attempt.head,
                "lines": attempt.lines,
            },
        )
        self._attempts[attempt.key][-1] = attempt

    def _settle(self) -> None:
        """Close what is open, and make sure that what is closed is still there."""
        for key in self._attempts:
            latest, path = self.attempts(key)[-1], self.folder.log(key)
            if latest.status == "ended":
                _refuse_changed(self.folder.log_holding(key, latest.number), latest)
            elif latest.status == "started":
                self._close(self._settled(latest, path))

    def _settled(self, attempt: Attempt, path: Path) -> Attempt:
        if not path.exists():
            return replace(attempt, status="interrupted", head=log_origin(self.folder, attempt))
        check = verify_log(path, origin=log_origin(self.folder, attempt))
        record = self.folder.record(attempt.key) if check.finished else None
        if record is None:
            return replace(attempt, status="interrupted", head=check.head, lines=check.lines)
        return replace(attempt, status="ended", outcome=record.outcome, head=check.head, lines=check.lines)


def _refuse_changed(path: Path, attempt: Attempt) -> None:
    line = last_line(path) if path.exists() else None
    if line is None or digest(line) != attempt.head:
        what = "was changed" if path.exists() else "is missing"
        raise RecordFault(f"trials/{path.name}", f"{what} since its trial ended; see `redline verify`")
