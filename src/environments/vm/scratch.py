"""The folder of one machine: its disk, its console's log, and who it belongs to."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from environments.sandbox.fences import hierarchies

__all__ = ["Scratch", "Trace", "clear_away", "traces"]

_PREFIX = "redline-vm-"
_CARD = "machine.json"


class Scratch:
    """A machine's folder, from now until it is removed.

    Args:
        label: of the trial.
        image: name of the image.
        owner: host uid and gid of the emulator, which works in it.
    """

    def __init__(self, *, label: str, image: str, owner: tuple[int, int]) -> None:
        self.path = Path(tempfile.mkdtemp(prefix=_PREFIX))
        try:
            fields = {"label": label, "image": image, "runner": os.getpid(), "since": time.time()}
            card = self.path / f".{_CARD}"
            card.write_text(json.dumps(fields))
            # Held as long as we live: that is how the others know. It is there held, or not at all.
            self._card = card.open()
            fcntl.flock(self._card, fcntl.LOCK_EX)
            card.rename(self.path / _CARD)
            os.chown(self.path, *owner)
        except BaseException:
            shutil.rmtree(self.path, ignore_errors=True)
            raise

    def remove(self) -> None:
        """Delete the folder.

        Raises:
            OSError: it could not be.
        """
        self._card.close()
        shutil.rmtree(self.path)


@dataclass(frozen=True, kw_only=True)
class Trace:
    """A machine's folder, as others see it."""

    path: Path
    label: str
    image: str
    runner: int
    since: float
    alive: bool
    """Whether the runner that made it still holds it."""
    disk_bytes: int
    """What the machine has written so far."""


def traces() -> list[Trace]:
    """Return the machines of this host, and what is left of those whose runner was killed."""
    found = []
    for path in sorted(Path(tempfile.gettempdir()).glob(f"{_PREFIX}*")):
        with suppress(OSError, ValueError, KeyError), (path / _CARD).open() as card:
            fields: dict[str, Any] = json.loads(card.read())
            found.append(
                Trace(
                    path=path,
                    label=fields["label"],
                    image=fields["image"],
                    runner=fields["runner"],
                    since=fields["since"],
                    alive=_held(card.fileno()),
                    disk_bytes=sum(disk.stat().st_blocks * 512 for disk in path.glob("*.qcow2")),
                )
            )
    return found


def clear_away() -> list[Path]:
    """Delete what machines have left whose runner was killed, and return where it was."""
    left = [trace.path for trace in traces() if not trace.alive]
    for path in left:
        for hierarchy in hierarchies():
            with suppress(OSError):
                (hierarchy.parent / path.name).rmdir()
        shutil.rmtree(path, ignore_errors=True)
    return left


def _held(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False
