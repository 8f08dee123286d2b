"""Opens and closes containers."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from environments.attendant import BOOT_COMMAND, Attendant, AttendedEnvironment
from environments.containers.closure import certify, fence_around
from environments.containers.engines import find
from environments.containers.machine import ContainerControl, forbid_user_namespaces, inside
from environments.containers.obstacles import explain
from environments.endings import to_the_end
from environments.errors import Broken, Leaked, LinkLost, Unavailable
from environments.pipe import PipeWire
from environments.processes import Child, readable
from environments.sandbox.fences import Fence
from environments.sandbox.gate import NamespaceGate
from environments.sandbox.procfs import MachineProc
from environments.sandbox.rooted import RootedFiles
from environments.sandbox.sockets import Dialer
from environments.types import Lease, Limits, Supply
from environments.warden import hold

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from environments.containers.engines import Engine
    from environments.types import Certificate
    from environments.warden import Held
    from environments.wire import Wire

__all__ = ["Containers"]

_OPENING_S = 60.0
_ENDING_S = 10.0
_LINGER_S = 60.0
# Process 1: buries what is left to it, and goes when we do, taking everything with it.
_INIT = (
    "import os, signal\n"
    "signal.signal(signal.SIGCHLD, signal.SIG_IGN)\n"
    "os.write(1, b'ready\\n')\n"
    "while os.read(0, 4096): pass\n"
)


@dataclass(frozen=True, kw_only=True)
class Containers:
    """Provider of containers: no network, no capabilities, a read-only image with a few places to write.

    The image must be there already and must have a shell and python3; none is ever fetched.
    """

    image: str = ""
    engine: str = "auto"
    """"podman", "docker", the path of either; "auto" tries Podman first."""
    limits: Limits = field(default_factory=Limits)
    name: str = "container"

    @property
    def supply(self) -> Supply:
        """Containers take a moment to start; one is kept ready."""
        return Supply(occupies_bytes=self.limits.memory_bytes // 4, ahead=1)

    @asynccontextmanager
    async def open(self, *, label: str, seed: int) -> AsyncGenerator[Lease, None]:
        """Open one container; leaving the context ends every process in it and proves that nothing is left.

        Raises:
            Unavailable: no engine starts one here; the message says what to do about it.
            Leaked: something of the container outlived it.
        """
        del seed  # every container of an image is the same machine
        if not self.image:
            raise Unavailable(
                "no image is named", mend='Containers(image="NAME"); `podman images` lists them'
            )
        async with AsyncExitStack() as stack:
            faults: list[Unavailable] = []
            for engine in find(self.engine):
                try:
                    lease = await stack.enter_async_context(self._opened(engine, label))
                    break
                except Unavailable as fault:
                    faults.append(fault)
            else:
                if len(faults) == 1:
                    raise faults[0]
                raise Unavailable("; ".join(map(str, faults)))
            yield lease

    @asynccontextmanager
    async def _opened(self, engine: Engine, label: str) -> AsyncGenerator[Lease, None]:
        async with AsyncExitStack() as stack:
            opening = _Opening(engine, image=self.image, label=label, limits=self.limits)
            stack.push_async_callback(opening.tear_down)
            try:
                async with asyncio.timeout(_OPENING_S):
                    lease = await opening.run()
            except (OSError, TimeoutError, Broken) as error:
                raise explain(engine.name, opening.complaint() or str(error), image=self.image) from error
            yield lease


class _Opening:
    """One container from its first process to its last."""

    def __init__(self, engine: Engine, *, image: str, label: str, limits: Limits) -> None:
        self._engine = engine
        self._image = image
        self._label = label
        self._limits = limits
        self._token = f"redline-{secrets.token_hex(8)}"
        self._held: Held | None = None
        self._child: Child | None = None
        self._init = 0
        self._fence = Fence(groups=())
        self._nests = True
        self._attendant: Attendant | None = None
        self._descriptors: list[int] = []
        self._stdin = -1
        self._log = -1
        self._parts: list[RootedFiles | MachineProc | Dialer] = []

    async def run(self) -> Lease:
        """Open the machine.

        Raises:
            Unavailable: the engine does not do it; the message says what to do.
            OSError, TimeoutError, Broken: the container did not come up.
        """
        engine = self._engine
        status, said = await engine.ask("image", "inspect", "--format", "{{.Id}}", self._image)
        if status != 0:
            raise explain(engine.name, said, image=self._image)
        held = self._held = hold(self._label, lifetime_s=self._limits.lifetime_s)
        held.command([*engine.command, "rm", "--force", self._token])
        await self._start()
        self._init = await engine.pid_of(self._token)
        if not self._is_ours(self._init):
            raise Unavailable(
                f"{engine.name} runs its containers on another host",
                mend="redline examines a container from outside: run it where the engine is",
            )
        held.process(self._init, namespaces=True)
        self._fence = fence_around(self._init, self._limits)
        held.group(*self._fence.paths)
        self._nests = not await forbid_user_namespaces(self._init)
        self._attendant = Attendant(
            self._open_wire, address=self._label, keep=secrets.token_hex(16), linger_s=_LINGER_S
        )
        await self._attendant.start()
        return self._lease(self._attendant)

    async def _start(self) -> None:
        out, theirs_out = self._pipe()
        theirs_in, self._stdin = self._pipe()
        self._log = os.memfd_create("engine", os.MFD_CLOEXEC)
        self._descriptors.append(self._log)
        program = ("python3", "-I", "-S", "-c", _INIT, self._token)
        argv = self._engine.run(self._image, self._token, program, limits=self._limits)
        self._child = Child(argv, stdin=theirs_in, stdout=theirs_out, stderr=self._log)
        assert self._held is not None
        self._held.process(self._child.pid)
        for end in (theirs_in, theirs_out):
            self._close(end)
        await readable(out)
        if os.read(out, 64) != b"ready\n":
            await self._child.wait()
            raise Broken("the container did not come up", by_agent=False)

    def _is_ours(self, pid: int) -> bool:
        """Whether a number that the engine gave is our process 1, on this host."""
        with suppress(OSError):
            return self._token.encode() in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        return False

    def _lease(self, attendant: Attendant) -> Lease:
        status = Path(f"/proc/{self._init}/status").read_text().splitlines()
        ids = {line.split()[0]: int(line.split()[1]) for line in status if line.startswith(("Uid:", "Gid:"))}
        owner = ids["Uid:"], ids["Gid:"]
        if os.geteuid() not in {0, owner[0]}:
            raise Unavailable(
                f"only root can examine containers of this {self._engine.name} from outside",
                mend="use podman as this user, or run as root",
            )
        root = os.open(f"/proc/{self._init}/root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        files = RootedFiles(root)
        self._parts.append(files)
        proc = MachineProc(
            files.open(PurePosixPath("/proc"), os.O_RDONLY | os.O_DIRECTORY),
            init=self._init,
            entered=lambda: inside(self._init),
        )
        self._parts.append(proc)
        namespaces = Path(f"/proc/{self._init}/ns")
        private = not (namespaces / "user").samefile("/proc/self/ns/user")
        dialer = Dialer(
            user_namespace=str(namespaces / "user") if private else None,
            network_namespace=str(namespaces / "net"),
            started=self._held.process if self._held is not None else lambda _: None,
        )
        self._parts.append(dialer)
        agent = AttendedEnvironment(attendant, name="container", limits=self._limits)
        control = ContainerControl(agent, files=files, proc=proc, dialer=dialer, owner=owner)
        certificate = self._certificate(root, files, proc, owner)
        gate = NamespaceGate(dialer, proc)
        return Lease(agent=agent, control=control, certificate=certificate, gate=gate)

    def _certificate(
        self, root: int, files: RootedFiles, proc: MachineProc, owner: tuple[int, int]
    ) -> Certificate:
        assert self._attendant is not None
        return certify(
            init=self._init,
            attendant=proc.host_pid(self._attendant.hello.pid),
            root=root,
            files=files,
            owner=owner,
            fence=self._fence,
            limits=self._limits,
            nests=self._nests,
        )

    async def _open_wire(self) -> Wire:
        if self._child is None or (status := self._child.returncode) is not None:
            # Process 1 cannot be killed from inside. It ends by itself where our end of its input is lost,
            # and is killed where the host or its engine does it; any other end is somebody's inside.
            by_agent = status not in {0, 128 + signal.SIGKILL} and (status or 0) > 0
            raise Broken(f"{self._label}: the container has ended", by_agent=by_agent)
        try:
            return PipeWire(self._engine.enter(self._token, "sh", "-c", BOOT_COMMAND))
        except OSError as error:
            raise LinkLost(f"{self._label}: {self._engine.name} cannot be started: {error}") from error

    def complaint(self) -> str:
        """Return what the engine printed, its mere warnings left out."""
        if self._log < 0:
            return ""
        lines = os.pread(self._log, 4096, 0).decode(errors="replace").splitlines()
        return "\n".join(line for line in lines if "level=warning" not in line and "WARN" not in line).strip()

    def _pipe(self) -> tuple[int, int]:
        ends = os.pipe2(os.O_CLOEXEC)
        self._descriptors += ends
        return ends

    def _close(self, end: int) -> None:
        self._descriptors.remove(end)
        os.close(end)

    async def tear_down(self) -> None:
        """End everything and prove it, however often this is cancelled meanwhile.

        Raises:
            Leaked: a process, a namespace, a control group or the container is still there.
        """
        await to_the_end(self._end())

    async def _end(self) -> None:
        if self._attendant is not None:
            await self._attendant.aclose()
        for part in reversed(self._parts):
            part.close()
        left: list[str] = []
        try:
            if self._child is not None:
                await self._end_container(self._child)
                left = await self._what_is_left()
        finally:
            for end in list(self._descriptors):
                self._close(end)
            if self._held is not None:
                await self._held.release()
        if left:
            raise Leaked(self._label, left)

    async def _end_container(self, child: Child) -> None:
        """The kernel ends a pid namespace with its process 1; the engine then removes the container."""
        if self._is_ours(self._init):
            with suppress(ProcessLookupError, PermissionError):
                os.kill(self._init, signal.SIGKILL)
        self._close(self._stdin)
        with suppress(TimeoutError):
            async with asyncio.timeout(_ENDING_S):
                await child.wait()
        child.close()

    async def _what_is_left(self) -> list[str]:
        """Say what only the engine knows; the rest is the warden's to see."""
        try:
            for _ in range(3):
                if not await self._engine.has(self._token):
                    return []
                await self._engine.ask("rm", "--force", self._token)
        except Unavailable as fault:
            return [f"container {self._token} for all that can be told, as {fault.reason}"]
        return [f"container {self._token}"]
