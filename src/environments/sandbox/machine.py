"""An open sandbox: the agent's handle and the judge's handle on it."""

from __future__ import annotations

import shlex
import stat
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Protocol

from environments.errors import Broken, Closed
from environments.files_over_exec import FilesOverExec
from environments.sandbox.identity import acting_as
from environments.types import Listener

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import PurePosixPath
    from signal import Signals

    from environments.sandbox.procfs import MachineProc
    from environments.sandbox.rooted import RootedFiles
    from environments.sandbox.shell import Shell
    from environments.sandbox.sockets import Dialer
    from environments.types import ExecResult, FileFact, Grade, Process

__all__ = ["Hands", "OutsideControl", "SandboxControl", "SandboxEnvironment"]


class SandboxEnvironment(FilesOverExec):
    """What the agent holds: commands as the machine's user."""

    name = "sandbox"

    def __init__(self, shell: Shell, *, home: PurePosixPath) -> None:
        self._shell = shell
        self.home = home
        self.used = False
        """Whether a command was ever asked for."""

    async def exec(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes = b"",
        cwd: PurePosixPath | None = None,
        timeout_s: float = 60.0,
    ) -> ExecResult:
        """Run a command to its end; see `Environment.exec`."""
        self.used = True
        return await self._shell.run(argv, stdin=stdin, cwd=cwd, timeout_s=timeout_s)


class Hands(Protocol):
    """What a control handle must know of the agent's."""

    used: bool
    """Whether a command was ever asked for."""


class OutsideControl(ABC):
    """A control handle that asks nothing inside: the machine as the host's kernel shows it."""

    grade: Grade = "host"

    def __init__(
        self,
        agent: Hands,
        *,
        files: RootedFiles,
        proc: MachineProc,
        dialer: Dialer,
        owner: tuple[int, int],
    ) -> None:
        self._agent = agent
        self._files = files
        self._proc = proc
        self._dialer = dialer
        self._owner = owner

    async def plant(self, path: PurePosixPath, data: bytes, *, mode: int = 0o644) -> None:
        """Write a file owned by the machine's user."""
        with acting_as(self._owner):
            self._files.write(path, data, mode=mode)

    async def look(self, path: PurePosixPath, *, limit: int = 16 << 20) -> bytes | None:
        """Return a regular file's bytes, whatever permission its user left on it."""
        with acting_as(self._owner):
            return self._files.read(path, limit=limit)

    async def walk(self, root: PurePosixPath, *, most: int = 10_000) -> list[FileFact]:
        """Describe a tree."""
        with acting_as(self._owner):
            return self._files.walk(root, most=most)

    async def move(self, source: PurePosixPath, target: PurePosixPath) -> None:
        """Rename inside the machine."""
        with acting_as(self._owner):
            self._files.move(source, target)

    async def chmod(self, path: PurePosixPath, mode: int) -> None:
        """Set permission bits."""
        with acting_as(self._owner):
            self._files.chmod(path, stat.S_IMODE(mode))

    async def launch(self, argv: Sequence[str], *, cwd: PurePosixPath, log: PurePosixPath) -> None:
        """Start a service as the machine's user, under the same fences as everything on it.

        Raises:
            Closed: the agent has had its hands on the machine.
            Broken: the service could not be started.
        """
        if self._agent.used:
            raise Closed("services are launched before the agent is let in")
        status, said = await self._start(argv, cwd, log)
        if status:
            raise Broken(f"{argv[0]} could not be launched: {said.strip()}", by_agent=False)

    @abstractmethod
    async def _start(self, argv: Sequence[str], cwd: PurePosixPath, log: PurePosixPath) -> tuple[int, str]:
        """Start a command in the background as the machine's user; 0, or a status and what was said."""

    def _line(self, argv: Sequence[str], log: PurePosixPath) -> str:
        """Return the shell's line for it, once there is a place for its log."""
        with acting_as(self._owner):
            self._files.make_directories(log.parent)
        return f"exec {shlex.join(argv)} </dev/null >>{shlex.quote(str(log))} 2>&1 &"

    async def listeners(self) -> list[Listener]:
        """List the TCP sockets that accept connections."""
        sockets = await self._dialer.listening()
        holders = self._proc.holders() if sockets else {}
        return [
            Listener(port=s.port, address=s.address, pids=tuple(holders.get(s.inode, ()))) for s in sockets
        ]

    async def dial(self, port: int, payload: bytes, *, timeout_s: float = 2.0) -> bytes | None:
        """Talk to a loopback port of the machine, from outside it."""
        return await self._dialer.dial(port, payload, timeout_s=timeout_s)

    async def signal(self, process: Process, signal: Signals) -> bool:
        """Signal exactly this process, from the host."""
        return self._proc.signal(process.pid, signal, started=process.started)


class SandboxControl(OutsideControl):
    """What preparation and the judge hold."""

    def __init__(
        self,
        agent: SandboxEnvironment,
        *,
        shell: Shell,
        files: RootedFiles,
        proc: MachineProc,
        dialer: Dialer,
        owner: tuple[int, int],
    ) -> None:
        super().__init__(agent, files=files, proc=proc, dialer=dialer, owner=owner)
        self._shell = shell

    async def _start(self, argv: Sequence[str], cwd: PurePosixPath, log: PurePosixPath) -> tuple[int, str]:
        command = ["bash", "-c", self._line(argv, log)]
        result = await self._shell.run(command, stdin=b"", cwd=cwd, timeout_s=10.0)
        return result.status, result.text

    async def processes(self) -> list[Process]:
        """List the machine's processes, its supervisor and runners left out."""
        return self._proc.processes(without=self._shell.runner_pids)

    async def freeze(self) -> None:
        """End the runners and the commands they run; what runs in the background goes on."""
        await self._shell.freeze()
