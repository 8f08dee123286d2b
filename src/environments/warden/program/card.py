"""What others find a warden by."""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

__all__ = ["Card"]


class Card:
    """A file that others find this warden by: who it is, and after a halt how that went.

    Args:
        path: where; the file is made, and locked for as long as one of the two processes lives.
        fields: what it says from the start.
    """

    def __init__(self, path: Path, fields: dict[str, Any]) -> None:
        self._path = path
        self._fields = fields
        self._studies: list[str] = []
        # The lock is on a file of its own: the card itself is replaced whenever it changes.
        self._lock = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)

    @property
    def studies(self) -> tuple[str, ...]:
        """Folders of the studies that the runner works on."""
        return tuple(self._studies)

    def write(self, **more: Any) -> None:
        """Put down what is known now."""
        self._fields |= more
        new = self._path.with_suffix(f".{os.getpid()}")
        new.write_text(json.dumps({**self._fields, "studies": self._studies}))
        new.replace(self._path)

    def study(self, folder: str, *, present: bool) -> None:
        """Note that the runner works on a study, or does no longer."""
        if present:
            self._studies.append(folder)
        elif folder in self._studies:
            self._studies.remove(folder)

    def ended(self, said: dict[str, Any]) -> None:
        """Leave word of how everything was ended."""
        with suppress(OSError):
            self.write(**said)
            self._path.replace(self._path.with_suffix(".ended"))

    def remove(self) -> None:
        """Take the card away."""
        for path in (self._path, self._path.with_suffix(".lock")):
            with suppress(OSError):
                path.unlink()
