"""One machine, as the warden holds it for its runner."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from environments.errors import Broken, Halted, Leaked
from environments.warden.program.ending import SETTLING_S

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from environments.warden.channel import Warden

__all__ = ["ANSWER_S", "Held"]

ANSWER_S = SETTLING_S + 60.0
"""How long the warden may take to say whether anything is left."""
_KINDS = ("user", "mnt", "net", "pid")


@dataclass(kw_only=True, eq=False)
class Held:
    """One machine, as the warden holds it."""

    warden: Warden
    lease: str
    label: str
    lapsed: bool = False
    """It has lived its time, and was ended."""
    released: asyncio.Future[list[str]] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )
    _pidfds: list[int] = field(default_factory=list, repr=False)

    def process(self, pid: int, *, namespaces: bool = False) -> None:
        """Add a process of the host, which is to end with the machine.

        Args:
            pid: the process.
            namespaces: nobody is to be left in its namespaces either, those that are not our own.

        Raises:
            Halted: every machine was ended; this one ends too.
        """
        try:
            pidfd = os.pidfd_open(pid)
        except ProcessLookupError:
            return
        self._pidfds.append(pidfd)
        spaces = _namespaces(pid) if namespaces else []
        try:
            self._add([pidfd, *spaces], processes=[pid])
        finally:
            for fd in spaces:
                os.close(fd)

    def group(self, *groups: Path) -> None:
        """Add control groups: every process in them, and the groups themselves."""
        if groups:
            self._add((), groups=[str(group) for group in groups])

    def folder(self, *folders: Path) -> None:
        """Add folders of the host that are the machine's alone."""
        self._add((), folders=[str(folder) for folder in folders])

    def command(self, argv: Sequence[str]) -> None:
        """Add a command that has to be run once the machine's processes are ended."""
        self._add((), commands=[list(argv)])

    def _add(self, descriptors: Iterable[int], **parts: object) -> None:
        self.warden.say({"do": "add", "lease": self.lease, **parts}, list(descriptors))

    def kill(self) -> None:
        """Kill the processes that are known, from here."""
        for pidfd in self._pidfds:
            with suppress(OSError):
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)

    async def release(self) -> None:
        """Let the machine go after it was closed, and have the warden look whether anything is left of it.

        Raises:
            Leaked: something is. It was ended then, as far as it could be.
            Broken: the warden had ended the machine, because it had lived its time.
            Halted: the warden does not answer.
        """
        try:
            if self.warden.halted is None:
                self.warden.say({"do": "release", "lease": self.lease})
                async with asyncio.timeout(ANSWER_S):
                    left = await asyncio.shield(self.released)
            else:
                left = []
        except TimeoutError:
            raise Halted(f"{self.label}: the warden does not say whether anything is left") from None
        finally:
            self.warden.held.pop(self.lease, None)
            for pidfd in self._pidfds:
                os.close(pidfd)
            self._pidfds.clear()
        if left:
            raise Leaked(self.label, left)
        if self.lapsed:
            raise Broken(f"{self.label}: the warden has ended the machine: its time was up", by_agent=False)


def _namespaces(pid: int) -> list[int]:
    found = []
    for kind in _KINDS:
        with suppress(OSError):
            place = Path(f"/proc/{pid}/ns/{kind}")
            if place.readlink() != Path(f"/proc/self/ns/{kind}").readlink():
                found.append(os.open(place, os.O_RDONLY | os.O_CLOEXEC))
    return found
