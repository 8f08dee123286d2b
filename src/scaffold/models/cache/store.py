"""Where answers are kept: one SQLite file in a folder, shared by any number of processes.

Every entry carries its own digest, and a write is whole or it never was. Trouble with the file costs
answers that could have been had from it, never a trial.
"""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Self

import structlog

from scaffold.errors import CacheUnusable

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["ReplyCache", "Shelf"]

FILE = "replies.sqlite"
_SUM = 16
"""Bytes of an entry's own digest, which stands before it."""
_WAIT_S = 5.0
"""For another process that writes."""
_KEPT = 0.9
"""Part of the most bytes that is left once old answers make room."""

_diagnostics = structlog.get_logger(__name__)


@dataclass(frozen=True)
class ReplyCache:
    """A folder with the answers of subjects. Studies at work at the same time can share it."""

    path: Path | str
    most_bytes: int = field(default=4 << 30, kw_only=True)
    """Of answers; beyond that the oldest make room."""

    @contextmanager
    def open(self) -> Iterator[Shelf]:
        """Open the file, or begin one; one that is no cache is set aside with a word.

        Raises:
            CacheUnusable: the folder cannot be written.
        """
        file = Path(self.path) / FILE
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
        except OSError as fault:
            raise CacheUnusable(self._unusable(fault.strerror)) from fault
        try:
            shelf = Shelf.at(file, most_bytes=self.most_bytes)
        except sqlite3.OperationalError as fault:
            raise CacheUnusable(self._unusable(fault)) from fault
        except sqlite3.DatabaseError as fault:
            aside = _set_aside(file)
            _diagnostics.warning(
                "the reply cache was no cache: begun anew", broken=str(aside), why=str(fault)
            )
            shelf = Shelf.at(file, most_bytes=self.most_bytes)
        try:
            yield shelf
        finally:
            shelf.close()

    def _unusable(self, why: object) -> str:
        return f"cannot use {self.path} for replies: {why}; name a folder that can be written"


class Shelf:
    """The open file: bytes by key."""

    def __init__(self, database: sqlite3.Connection, *, most_bytes: int) -> None:
        self._database = database
        self._most_bytes = most_bytes
        self._bytes = self._measured()

    @classmethod
    def at(cls, file: Path, *, most_bytes: int) -> Self:
        """Open a file.

        Raises:
            sqlite3.DatabaseError: it is no database, or cannot be had.
        """
        database = sqlite3.connect(file, timeout=_WAIT_S, isolation_level=None)
        try:
            database.execute("PRAGMA journal_mode=WAL")
            database.execute("PRAGMA synchronous=NORMAL")  # a crash of the host may cost the last answers
            database.execute("CREATE TABLE IF NOT EXISTS replies (key BLOB PRIMARY KEY, entry BLOB NOT NULL)")
            return cls(database, most_bytes=most_bytes)
        except BaseException:
            database.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def __len__(self) -> int:
        count: int = self._database.execute("SELECT count(*) FROM replies").fetchone()[0]
        return count

    def get(self, key: bytes) -> bytes | None:
        """Return what is kept under a key; what is not what was written is dropped with a word."""
        try:
            row = self._database.execute("SELECT entry FROM replies WHERE key = ?", (key,)).fetchone()
        except sqlite3.Error as fault:
            _diagnostics.warning("the reply cache cannot be read: the subject is asked", why=str(fault))
            return None
        if row is None:
            return None
        entry = row[0] if isinstance(row[0], bytes) else b""
        kept = entry[_SUM:]
        if entry[:_SUM] == _sum(key, kept):
            return kept
        _diagnostics.warning("a kept reply is not what was written: the subject is asked", key=key.hex()[:16])
        self.drop(key)
        return None

    def put(self, key: bytes, kept: bytes) -> bytes:
        """Keep something, unless something is kept under the key already; return what is kept now."""
        entry = _sum(key, kept) + kept
        try:
            done = self._database.execute("INSERT OR IGNORE INTO replies VALUES (?, ?)", (key, entry))
            if done.rowcount == 0:
                return self.get(key) or kept
            self._bytes += len(entry)
            if self._bytes > self._most_bytes:
                self._make_room()
        except sqlite3.Error as fault:
            _diagnostics.warning("the reply cache cannot be written: a reply is not kept", why=str(fault))
        return kept

    def drop(self, key: bytes) -> None:
        """Keep nothing under a key any more."""
        with suppress(sqlite3.Error):  # it is found wrong again, and dropped then
            self._database.execute("DELETE FROM replies WHERE key = ?", (key,))

    def _measured(self) -> int:
        found = self._database.execute("SELECT coalesce(sum(length(entry)), 0) FROM replies")
        measured: int = found.fetchone()[0]
        return measured

    def _make_room(self) -> None:
        """Let go of the oldest: rows are numbered as they come."""
        self._bytes = self._measured()
        oldest = self._database.execute("SELECT rowid, length(entry) FROM replies ORDER BY rowid").fetchall()
        last = 0
        for number, length in oldest:
            if self._bytes <= _KEPT * self._most_bytes:
                break
            self._bytes -= length
            last = number
        self._database.execute("DELETE FROM replies WHERE rowid <= ?", (last,))


def _set_aside(file: Path) -> Path:
    """Move a file out of the way, and what SQLite keeps beside it."""
    for suffix in ("-wal", "-shm"):
        file.with_name(file.name + suffix).unlink(missing_ok=True)
    return file.replace(file.with_name(f"{file.name}.broken"))


def _sum(key: bytes, kept: bytes) -> bytes:
    return blake2b(key + kept, digest_size=_SUM).digest()
