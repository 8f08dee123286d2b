"""Where the wardens of this host's user can be found, and how they are told to halt.

A card a warden, in a directory that only the user can enter. A card whose lock nobody holds is of a warden
that was killed together with its heir.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import signal
import stat
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from environments.errors import Unavailable

__all__ = ["Found", "Halt", "directory", "halt", "wardens"]

_PATIENCE_S = 60.0
_PAUSE_S = 0.02


@dataclass(frozen=True, kw_only=True)
class Found:
    """A warden that is at work."""

    card: Path
    warden: int
    """Its process."""
    runner: int
    """The process whose machines it holds."""
    studies: tuple[Path, ...]
    """Folders of the studies the runner works on."""


@dataclass(frozen=True, kw_only=True)
class Halt:
    """How a halt went."""

    found: Found
    machines: int
    took_s: float | None
    """Until the last process of the last machine was gone; None where the warden has not said so."""
    left: tuple[str, ...] = ()
    """What could not be ended or removed."""


def directory() -> Path:
    """Return where cards lie, made if there is no such place yet.

    Raises:
        Unavailable: it belongs to somebody else, or others can write to it.
    """
    given = os.environ.get("XDG_RUNTIME_DIR")
    place = Path(given) / "redline" if given else Path(tempfile.gettempdir()) / f"redline-{os.geteuid()}"
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        seen = place.lstat()
    except OSError as fault:
        raise Unavailable(f"{place} cannot be made ({fault.strerror})", mend="set XDG_RUNTIME_DIR") from fault
    if not stat.S_ISDIR(seen.st_mode) or seen.st_uid != os.geteuid() or seen.st_mode & 0o077:
        raise Unavailable(
            f"{place} is not a directory that only this user can enter",
            mend=f"remove it, or chmod 700 {place}",
        )
    return place


def wardens(study: Path | None = None) -> list[Found]:
    """Return the wardens at work; only those whose runner works on `study`, where one is given."""
    found = []
    for card in sorted(directory().glob("*.json")):
        with suppress(OSError, ValueError, KeyError):
            fields = json.loads(card.read_text())
            if not _held(card):
                _forget(card)
                continue
            studies = tuple(Path(each) for each in fields["studies"])
            if study is None or study.resolve() in studies:
                found.append(
                    Found(card=card, warden=fields["warden"], runner=fields["runner"], studies=studies)
                )
    return found


async def halt(found: Found) -> Halt:
    """Have a warden end its machines at once, and return how that went."""
    with suppress(ProcessLookupError):
        os.kill(found.warden, signal.SIGTERM)  # its card's lock shows that the number is still its own
    said = await _said(found.card)
    return Halt(
        found=found,
        machines=int(said.get("machines", 0)),
        took_s=said.get("took_s"),
        left=tuple(said.get("left", ())),
    )


async def _said(card: Path) -> dict[str, Any]:
    """Wait for a warden's last word."""
    word = card.with_suffix(".ended")
    with suppress(TimeoutError):
        async with asyncio.timeout(_PATIENCE_S):
            while _at_work(card):  # noqa: ASYNC110  a process that is not ours tells nobody of its end
                await asyncio.sleep(_PAUSE_S)
    with suppress(OSError, ValueError):
        said: dict[str, Any] = json.loads(word.read_text())
        word.unlink()
        return said
    return {}


def _at_work(card: Path) -> bool:
    return card.exists() and _held(card)


def _held(card: Path) -> bool:
    try:
        with card.with_suffix(".lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _forget(card: Path) -> None:
    for path in card.parent.glob(f"{card.stem}.*"):
        path.unlink(missing_ok=True)
