"""The two handles on a machine that has attendants: one as its user, one as root."""

from __future__ import annotations

import signal
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from environments.attendant.attendant import Replaced
from environments.errors import Closed, LinkLost, Rebooted
from environments.types import ExecResult, FileFact, FileId, Limits, Listener, Process

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from environments.attendant.attendant import Answer, Attendant
    from environments.protocols import Control
    from environments.types import Grade

__all__ = ["AttendedControl", "AttendedEnvironment"]

_KILLED = ExecResult(status=128 + signal.SIGKILL)


class AttendedEnvironment:
    """What the agent holds: an attendant that runs as the machine's user."""

    def __init__(self, attendant: Attendant, *, name: str, limits: Limits) -> None:
        self.name = name
        self.home = PurePosixPath(attendant.hello.home)
        self.attendant = attendant
        self.used = False
        """Whether a command was ever asked for."""
        self._limits = limits
        self._frozen = False

    async def exec(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes = b"",
        cwd: PurePosixPath | None = None,
        timeout_s: float = 60.0,
    ) -> ExecResult:
        """Run a command to its end; see `Environment.exec`."""
        if any("\0" in argument for argument in argv):
            raise ValueError("an argument holds a NUL byte")
        self._enter()
        try:
            fields, payload = await self.attendant.ask(
                "exec",
                stdin,
                takes_s=timeout_s,
                argv=list(argv),
                cwd=None if cwd is None else str(cwd),
                timeout_s=timeout_s,
                most=self._limits.output_bytes,
            )
        except Replaced:  # somebody on the machine killed the attendant, and the command with it
            return _KILLED
        if fields.get("closed"):
            raise Closed("the machine was frozen or closed")
        return _result(fields, payload)

    async def read(self, path: PurePosixPath) -> bytes:
        """Return a file's bytes; see `Environment.read`."""
        return (await self._file("read", path)).payload

    async def write(self, path: PurePosixPath, data: bytes) -> None:
        """Write a file, making its parents; see `Environment.write`."""
        await self._file("write", path, data)

    async def _file(self, what: str, path: PurePosixPath, payload: bytes = b"") -> Answer:
        self._enter()
        try:
            return await self.attendant.ask(what, payload, path=str(path))
        except Replaced:
            return await self.attendant.ask(what, payload, path=str(path))

    def _enter(self) -> None:
        if self._frozen:
            raise Closed("the machine was frozen or closed")
        self.used = True

    async def freeze(self) -> None:
        """End what runs; take nothing from now on. Background services go on."""
        self._frozen = True
        try:
            await self.attendant.ask("freeze", takes_s=10.0)
        except (Replaced, Rebooted):
            await self.attendant.ask("freeze", takes_s=10.0)


class AttendedControl:
    """What preparation and the judge hold: an attendant that runs as root, or at least not for the agent."""

    def __init__(
        self,
        attendant: Attendant,
        *,
        agent: AttendedEnvironment,
        user: str,
        grade: Grade,
        hosts: Mapping[str, Control] = MappingProxyType({}),
    ) -> None:
        self.grade = grade
        self.hosts = hosts
        self.attendant = attendant
        self._agent = agent
        self._user = user

    async def plant(self, path: PurePosixPath, data: bytes, *, mode: int = 0o644) -> None:
        """Write a file owned by the machine's user."""
        try:
            await self._ask("write", data, path=str(path), user=self._user, mode=mode)
        except PermissionError:
            if self._agent.used or self.attendant.hello.uid != 0:
                raise
            await self._ask("plant", data, path=str(path), user=self._user, mode=mode)

    async def look(self, path: PurePosixPath, *, limit: int = 16 << 20) -> bytes | None:
        """Return a regular file's bytes, whatever permission its user left on it."""
        answer = await self._ask("look", path=str(path), limit=limit)
        return answer.payload if answer.fields["found"] else None

    async def walk(self, root: PurePosixPath, *, most: int = 10_000) -> list[FileFact]:
        """Describe a tree."""
        answer = await self._ask("walk", root=str(root), most=most)
        return [
            FileFact(**{**fact, "path": PurePosixPath(fact["path"]), "id": FileId(*fact["id"])})
            for fact in answer.fields["facts"]
        ]

    async def move(self, source: PurePosixPath, target: PurePosixPath) -> None:
        """Rename inside the machine."""
        await self._ask("move", once=True, source=str(source), target=str(target), user=self._user)

    async def chmod(self, path: PurePosixPath, mode: int) -> None:
        """Set permission bits."""
        await self._ask("chmod", path=str(path), mode=mode, user=self._user)

    async def launch(self, argv: Sequence[str], *, cwd: PurePosixPath, log: PurePosixPath) -> None:
        """Start a service as the machine's user.

        Raises:
            Closed: the agent has had its hands on the machine.
        """
        if self._agent.used:
            raise Closed("services are launched before the agent is let in")
        await self._ask("launch", once=True, argv=list(argv), cwd=str(cwd), log=str(log), user=self._user)

    async def processes(self) -> list[Process]:
        """List the machine's processes, the attendants left out."""
        without = [*self.attendant.hello.pids, *self._agent.attendant.hello.pids]
        answer = await self._ask("processes", without=without)
        return [_process(process) for process in answer.fields["processes"]]

    async def caller(self, source: int, target: int) -> Process | None:
        """Return the process that is connected from one loopback port to another; None for none."""
        answer = await self._ask("caller", source=source, target=target)
        return next((_process(process) for process in answer.fields["processes"]), None)

    async def listeners(self) -> list[Listener]:
        """List the TCP sockets that accept connections."""
        answer = await self._ask("listeners")
        return [Listener(**{**known, "pids": tuple(known["pids"])}) for known in answer.fields["listeners"]]

    async def dial(self, port: int, payload: bytes, *, timeout_s: float = 2.0) -> bytes | None:
        """Talk to a loopback port of the machine."""
        answer = await self._ask("dial", payload, takes_s=timeout_s, port=port, wait_s=timeout_s)
        return answer.payload if answer.fields["connected"] else None

    async def signal(self, process: Process, signal: signal.Signals) -> bool:
        """Signal exactly this process."""
        answer = await self._ask("signal", pid=process.pid, started=process.started, number=int(signal))
        return bool(answer.fields["sent"])

    async def freeze(self) -> None:
        """Take the agent's hands off."""
        await self._agent.freeze()

    async def _ask(
        self, what: str, payload: bytes = b"", *, once: bool = False, takes_s: float = 60.0, **fields: Any
    ) -> Answer:
        """Ask, and ask again where the machine or the attendant on it has been started anew meanwhile.

        Args:
            what: name of a verb.
            payload: bytes that go with it.
            once: the verb is not to be carried out twice, and it is not known whether it was.
            takes_s: how long the answer may take to be found.
            fields: arguments of the verb.
        """
        try:
            return await self.attendant.ask(what, payload, takes_s=takes_s, **fields)
        except Rebooted:
            pass  # no reason not to look at what the machine is now
        except Replaced as fault:
            if once:
                raise LinkLost(f"{self.attendant.address}: the link broke during {what!r}") from fault
        return await self.attendant.ask(what, payload, takes_s=takes_s, **fields)

    async def tell(self, argv: Sequence[str], *, stdin: bytes = b"", timeout_s: float = 60.0) -> ExecResult:
        """Run a command with this handle's powers: for providers, to probe a machine and to clean it."""
        fields, payload = await self._ask(
            "exec",
            stdin,
            once=True,
            takes_s=timeout_s,
            argv=list(argv),
            timeout_s=timeout_s,
            most=1 << 20,
            cwd="/",
        )
        return _result(fields, payload)


def _process(fields: dict[str, Any]) -> Process:
    mapped = frozenset(FileId(*pair) for pair in fields["mapped"])
    return Process(**{**fields, "argv": tuple(fields["argv"]), "mapped": mapped})


def _result(fields: dict[str, Any], payload: bytes) -> ExecResult:
    cut = fields["stdout"]
    return ExecResult(
        status=fields["status"],
        stdout=payload[:cut],
        stderr=payload[cut:],
        timed_out=fields["timed_out"],
        dropped=fields["dropped"],
        seconds=fields["seconds"],
    )
