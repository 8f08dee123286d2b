"""The judge's handle on a host of a lab, from the real host: nothing of it passes the host's own SSH server.

A host's files belong to two users, its root and its agent. They are touched as whichever of the two may, and
never with the powers of the real host's root, which a link planted by the agent could lead astray.
"""

from __future__ import annotations

import os
import shlex
import stat
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from environments.processes import output_of
from environments.sandbox.identity import acting_as
from environments.sandbox.machine import OutsideControl

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import PurePosixPath

    from environments.attendant import AttendedEnvironment
    from environments.lab.lab import LabHost
    from environments.protocols import Control
    from environments.sandbox.procfs import MachineProc
    from environments.sandbox.rooted import RootedFiles
    from environments.sandbox.sockets import Dialer
    from environments.types import FileFact, Process

__all__ = ["LabControl", "entering"]

T = TypeVar("T")
_NAMESPACES = ("user", "mount", "pid", "net", "ipc", "uts", "cgroup")


class LabControl(OutsideControl):
    """What preparation and the judge hold.

    Args:
        agent: the handle that is frozen.
        host: the host.
        files: its files, seen from the real host.
        proc: its processes, seen from the real host.
        dialer: for its network.
        hosts: the handle of every host of the lab, by name.
    """

    def __init__(
        self,
        agent: AttendedEnvironment,
        *,
        host: LabHost,
        files: RootedFiles,
        proc: MachineProc,
        dialer: Dialer,
        hosts: Mapping[str, Control],
    ) -> None:
        super().__init__(agent, files=files, proc=proc, dialer=dialer, owner=host.agent_id)
        self.hosts = hosts
        self._hands = agent
        self._host = host

    def _as_either(self, act: Callable[[], T]) -> T:
        """Do something as the agent or, where it may not, as the host's root."""
        try:
            with acting_as(self._host.agent_id):
                return act()
        except PermissionError:
            with acting_as(self._host.root_id):
                return act()

    def _making(self, path: PurePosixPath, act: Callable[[], None]) -> None:
        """Make something at `path` with its parents, all of it the agent's, wherever it is."""
        new = [each for each in (path, *path.parents) if self._fact(each) is None]
        self._as_either(act)
        for each in new:
            if (seen := self._fact(each)) is not None and seen.st_uid == self._host.root_id[0]:
                fd = self._files.open(each, os.O_PATH | os.O_NOFOLLOW)
                try:
                    os.chown(f"/proc/self/fd/{fd}", *self._host.agent_id)
                finally:
                    os.close(fd)

    def _fact(self, path: PurePosixPath) -> os.stat_result | None:
        with suppress(OSError):
            fd = self._files.open(path, os.O_PATH | os.O_NOFOLLOW)
            try:
                return os.fstat(fd)
            finally:
                os.close(fd)
        return None

    async def plant(self, path: PurePosixPath, data: bytes, *, mode: int = 0o644) -> None:
        """Write a file owned by the machine's user."""
        self._making(path, lambda: self._files.write(path, data, mode=mode))

    async def look(self, path: PurePosixPath, *, limit: int = 16 << 20) -> bytes | None:
        """Return a regular file's bytes, whatever permission its user left on it."""
        return self._as_either(lambda: self._files.read(path, limit=limit))

    async def walk(self, root: PurePosixPath, *, most: int = 10_000) -> list[FileFact]:
        """Describe a tree."""
        return self._as_either(lambda: self._files.walk(root, most=most))

    async def move(self, source: PurePosixPath, target: PurePosixPath) -> None:
        """Rename inside the machine."""
        self._making(target.parent, lambda: self._files.make_directories(target.parent))
        # The two ends may belong to different users. Only files of the host can be renamed at all.
        with acting_as(self._host.root_id, unhindered=True):
            self._files.move(source, target)

    async def chmod(self, path: PurePosixPath, mode: int) -> None:
        """Set permission bits."""
        self._as_either(lambda: self._files.chmod(path, stat.S_IMODE(mode)))

    async def _start(self, argv: Sequence[str], cwd: PurePosixPath, log: PurePosixPath) -> tuple[int, str]:
        self._making(log, lambda: self._touch(log))
        where, what = shlex.quote(str(cwd)), shlex.join(argv)
        text = f"cd {where} && {{ setsid {what} </dev/null >>{shlex.quote(str(log))} 2>&1 & }}"
        # The shell lives inside the fences before it becomes anything of the host's.
        become = (*entering(self._host.init), *_BECOME_AGENT, *_agents(self._hands.home))
        return await output_of([*self._host.fence.entering(), *become, "bash", "-c", text])

    def _touch(self, log: PurePosixPath) -> None:
        self._files.make_directories(log.parent)
        os.close(self._files.open(log, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o644))

    async def processes(self) -> list[Process]:
        """List the machine's processes: those of its SSH server and of our own attendant left out."""
        return self._proc.processes(without=self._own())

    def _own(self) -> frozenset[int]:
        """Root's processes, and the halves of the SSH server that run as the agent below them.

        Nothing that the agent starts is ever root's, or a child of root but of process 1.
        """
        own = set(self._hands.attendant.hello.pids)
        for pid in self._proc.pids():
            with suppress(OSError):
                parent = self._proc.parent(pid)
                users = {self._proc.owner(pid)} if parent <= 1 else set(map(self._proc.owner, (pid, parent)))
                if self._host.root_id[0] in users:
                    own.add(pid)
        return frozenset(own)

    async def freeze(self) -> None:
        """Close the agent's handle and end its commands; what runs in the background goes on."""
        await self._hands.freeze()


def entering(init: int) -> tuple[str, ...]:
    """Return what starts a command as root in all namespaces of a host's process 1."""
    return (
        "nsenter",
        f"--target={init}",
        *(f"--{kind}" for kind in _NAMESPACES),
        "--setuid=0",
        "--setgid=0",
        "--",
    )


_BECOME_AGENT = (
    *("setpriv", "--reuid=1000", "--regid=1000", "--clear-groups", "--no-new-privs"),
    *("--inh-caps=-all", "--bounding-set=-all", "--"),
)


def _agents(home: PurePosixPath) -> tuple[str, ...]:
    return (
        *("env", "-i", f"HOME={home}", "USER=agent", "LOGNAME=agent", "SHELL=/bin/bash", "LANG=C.UTF-8"),
        "PATH=/usr/local/bin:/usr/bin:/bin",
    )
