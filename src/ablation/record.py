"""The hash-chained event log: one JSON object a line, each carrying the digest of the line before.

The first line carries a genesis digest bound to what the log is about, so that a log copied to another
name is found. Changing, dropping, swapping or inserting a line breaks the chain at that line; cutting
lines off the end leaves a chain that is sound but has another head than the ledger says. A log can be
looked at with any pager: in what an agent wrote, whatever does something to a terminal stands escaped.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
from dataclasses import dataclass, field
from time import time
from typing import TYPE_CHECKING, Any, Self

import orjson

from ablation.errors import DiskFull, FolderFault, RecordFault
from ablation.untrusted import inert_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

__all__ = ["END", "EventLog", "LogCheck", "digest", "genesis", "last_line", "read_log", "verify_log"]

END = "end"
"""Kind of a log's last line. A log without it is an interrupted attempt."""

_TAIL = 1 << 16


def digest(data: bytes) -> str:
    """Return the SHA-256 of `data` in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def genesis(study: str, key: str, attempt: int) -> str:
    """Return the digest that the first line of a log carries.

    Args:
        study: digest of the frozen design.
        key: what the log records: a trial's key, or `ledger`.
        attempt: counts from 1.
    """
    return digest(f"redline\n{study}\n{key}\n{attempt}".encode())


@dataclass(kw_only=True)
class EventLog:
    """An open log. Each event is one write at the end of the file, whatever the log's length."""

    path: Path
    head: str
    """Digest of the last line."""
    lines: int = 0
    _file: int = field(repr=False)

    @classmethod
    def create(cls, path: Path, *, origin: str) -> Self:
        """Start a log that does not exist yet.

        Args:
            path: where.
            origin: what `genesis` says about it.

        Raises:
            FolderFault: the file exists already or cannot be made.
        """
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        try:
            return cls(path=path, head=origin, _file=os.open(path, flags, 0o644))
        except OSError as fault:
            raise _folder_fault(path, fault) from fault

    @classmethod
    def reopen(cls, path: Path, *, origin: str) -> Self:
        """Go on with a log after its last whole line; a torn line after it is cut off.

        Raises:
            RecordFault: what stands in the log is not what was written.
        """
        check = verify_log(path, origin=origin)
        if check.problem and not check.torn:
            raise RecordFault(path.name, check.problem)
        try:
            file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
            os.ftruncate(file, check.bytes)
        except OSError as fault:
            raise _folder_fault(path, fault) from fault
        return cls(path=path, head=check.head, lines=check.lines, _file=file)

    def append(self, kind: str, fields: Mapping[str, Any]) -> str:
        """Write one event and return the log's new head.

        Raises:
            DiskFull: the event did not fit; all earlier ones stand.
        """
        line = inert_json(_encode({"n": self.lines, "prev": self.head, "at": time(), "kind": kind, **fields}))
        rest = memoryview(line + b"\n")
        try:
            while rest:
                rest = rest[os.write(self._file, rest) :]
        except OSError as fault:
            raise _folder_fault(self.path, fault) from fault
        self.head = digest(line)
        self.lines += 1
        return self.head

    def sync(self) -> None:
        """Wait until the log is on the disk."""
        try:
            os.fdatasync(self._file)
        except OSError as fault:
            raise _folder_fault(self.path, fault) from fault

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._file)


def _folder_fault(path: Path, fault: OSError) -> FolderFault:
    if fault.errno in {errno.ENOSPC, errno.EDQUOT}:
        return DiskFull(
            f"no room left in {path.parent}; every finished trial is saved: make room, then `redline resume`"
        )
    return FolderFault(f"cannot write {path}: {fault.strerror}")


def _encode(fields: Mapping[str, Any]) -> bytes:
    try:
        return orjson.dumps(fields)
    except TypeError:
        # Text from a model can hold what JSON in UTF-8 cannot: lone surrogates, huge integers, NaN.
        text = json.dumps(fields, default=str, ensure_ascii=False).encode(errors="replace")
        plain = json.loads(text, parse_constant=str, parse_int=_bounded)
        return orjson.dumps(plain)


def _bounded(digits: str) -> int | str:
    return int(digits) if len(digits) < 19 else digits


@dataclass(frozen=True, kw_only=True)
class LogCheck:
    """What a log was found to be."""

    path: Path
    lines: int
    """Sound lines."""
    bytes: int
    """Length of the sound lines."""
    head: str
    """Digest of the last sound line."""
    finished: bool
    """The last sound line is an `end`."""
    problem: str = ""
    """What is wrong, naming the line; empty where nothing is."""
    torn: bool = False
    """The only thing wrong is that the last line was not written to its end."""


def verify_log(path: Path, *, origin: str) -> LogCheck:
    """Follow a log's chain from its genesis and name the first thing wrong with it."""
    head, lines, size, kind = origin, 0, 0, ""
    fault = None
    with path.open("rb") as file:
        for raw in file:
            try:
                kind = _follow(raw, number=lines, prev=head, after_end=kind == END)
            except _Unsound as found:
                fault = found
                break
            head, lines, size = digest(raw[:-1]), lines + 1, size + len(raw)
    return LogCheck(
        path=path,
        lines=lines,
        bytes=size,
        head=head,
        finished=kind == END and fault is None,
        problem=str(fault or ""),
        torn=isinstance(fault, _Torn),
    )


class _Unsound(Exception):
    """A line is not what was written."""


class _Torn(_Unsound):
    """The last line was not written to its end."""


def _follow(raw: bytes, *, number: int, prev: str, after_end: bool) -> str:
    """Return the kind of a line that follows the one with digest `prev`."""
    if not raw.endswith(b"\n"):
        raise _Torn(f"line {number + 1} was not written to its end")
    try:
        line = orjson.loads(raw)
        found, carried, kind = int(line["n"]), line["prev"], str(line["kind"])
    except (ValueError, KeyError, TypeError):
        raise _Unsound(f"line {number + 1} is not an event") from None
    if after_end:
        raise _Unsound(f"line {number + 1} was added after the end")
    if found != number:
        raise _Unsound(f"line {number + 1} is event {found + 1}: {_displaced(found, number)}")
    if carried != prev and number == 0:
        raise _Unsound("line 1 does not belong to this study, trial and attempt: the log is a copy")
    if carried != prev:
        raise _Unsound(f"line {number} was edited, or line {number + 1} does not follow it")
    return kind


def _displaced(found: int, expected: int) -> str:
    if found > expected:
        first, last = expected + 1, found
        return f"event {first} is missing" if first == last else f"events {first} to {last} are missing"
    return "events were repeated or swapped"


def read_log(path: Path) -> Iterator[dict[str, Any]]:
    """Yield a log's events in order, one at a time; a torn last line is left out."""
    with path.open("rb") as file:
        for raw in file:
            if raw.endswith(b"\n"):
                yield orjson.loads(raw)


def last_line(path: Path) -> bytes | None:
    """Return a log's last line without reading the rest; None where it is empty or torn."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        tail, start = b"", size
        while start > 0 and tail.count(b"\n", 0, -1) == 0:
            length = min(_TAIL, start)
            start -= length
            file.seek(start)
            tail = file.read(length) + tail
    if not tail.endswith(b"\n"):
        return None
    return tail[:-1].rpartition(b"\n")[2]
