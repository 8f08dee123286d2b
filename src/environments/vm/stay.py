"""One trial's machine from its first file to its last."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import time
from contextlib import AsyncExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from environments.attendant import AttendedEnvironment
from environments.endings import to_the_end
from environments.errors import Broken, Unavailable
from environments.sandbox.fences import Fence, raise_fence
from environments.ssh.gate import SshGate
from environments.types import Lease, Limits
from environments.vm.attendance import AgentAttendant, ControlAttendant
from environments.vm.closure import MachineOutside, certify
from environments.vm.confinement import confinement
from environments.vm.judge import MachineControl
from environments.vm.machine import Machine
from environments.vm.scratch import Scratch, clear_away
from environments.warden import hold

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from environments.vm.hardware import Hardware
    from environments.vm.images import Image
    from environments.vm.machine import Saved
    from environments.warden import Held

__all__ = ["Stay", "Terms"]

_THREADS = 192
"""Of one emulator: processors, disk workers, its own."""
_BESIDE = 1.0
"""Processors' worth of time for what an emulator does beside its machine's processors."""
# Two machines that go on from one state must not go on with the same random numbers, nor in the past. One
# program does it, because each takes its time under emulation: RNDRESEEDCRNG, then settimeofday.
_WAKE = """
open F, "+>", "/dev/urandom"; syswrite F, join "", <STDIN>; ioctl F, 0x5207, 0;
my ($whole, $part) = split /[.]/, $ARGV[0]; syscall 164, pack("qq", $whole, $part), 0;
"""
_END_LOGINS = ["pkill", "-KILL", "-u", "agent", "-f", "^sshd: agent"]


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What the machines of one provider have in common."""

    name: str
    image: Image
    hardware: Hardware
    limits: Limits
    boot_s: float
    logs: Path
    """Folder where the console's log of a machine that failed goes."""
    alone: bool = True
    """Whether emulators may have network namespaces of their own."""


class Stay:
    """One machine and who attends it.

    Args:
        terms: what it has in common with others.
        label: names the trial in messages.
        origin: the state it starts from, owned from now on; None to boot.
        keep: name the agent's attendant lives on under; a fork's is its origin's. Empty where there was none.
        boots: how often to try.
    """

    def __init__(
        self, terms: Terms, *, label: str, origin: Saved | None = None, keep: str = "", boots: int = 2
    ) -> None:
        self.terms = terms
        self.label = label
        self.keep = keep or secrets.token_hex(16)
        self._fresh = not keep
        self._boots = boots
        self.booted = True
        """Whether it was started by booting, and not from a saved state."""
        self._origin = origin
        self._held: Held | None = None
        self._scratch: Scratch | None = None
        self._fence = Fence(groups=())
        self._machine: Machine | None = None
        self._control: ControlAttendant | None = None
        self._agent: AgentAttendant | None = None

    @property
    def machine(self) -> Machine:
        """The machine, once it was started."""
        assert self._machine is not None
        return self._machine

    async def begin(self) -> Lease:
        """Start the machine, and let nobody in but those who attend it.

        Raises:
            Broken: it did not come up; the message says where its console's log is.
            Unavailable: this host does not let us.
        """
        with self._explaining():
            await self.start()
            return await self._attend()

    async def begin_unattended(self) -> None:
        """Start the machine for a program of the study's own: no agent is let in, so nothing is certified.

        Raises:
            Broken, Unavailable: as for `begin`.
        """
        with self._explaining():
            await self.start()

    @contextmanager
    def _explaining(self) -> Iterator[None]:
        try:
            yield
        except Broken as fault:
            raise Broken(f"{fault.reason}{self._kept_log()}", by_agent=fault.by_agent) from fault
        except OSError as error:
            raise Unavailable(
                f"the machine did not start: {error}", mend="`redline doctor` examines each part"
            ) from error

    async def start(self) -> None:
        """Start the machine and greet root's attendant, or the copy of one that the saved state holds."""
        terms = self.terms
        confined = confinement(alone=terms.alone)
        await asyncio.to_thread(clear_away)
        held = self._held = hold(self.label, lifetime_s=terms.limits.lifetime_s)
        self._scratch = Scratch(label=self.label, image=terms.image.name, owner=confined.owner)
        held.folder(self._scratch.path)
        most = Limits(
            memory_bytes=terms.hardware.most_bytes, processes=_THREADS, cpus=terms.hardware.cpus + _BESIDE
        )
        self._fence = raise_fence(self._scratch.path.name, most)
        held.group(*self._fence.paths)
        self._machine = Machine(
            address=self.label,
            image=terms.image,
            hardware=terms.hardware,
            confinement=confined,
            fence=self._fence,
            scratch=self._scratch.path,
            held=held,
        )
        self._hand_over(confined.owner)
        if self._origin is None or not await self._loaded(self._origin):
            await self._boot()
        self._control = ControlAttendant(self._machine)
        await self._control.start()

    async def _loaded(self, origin: Saved) -> bool:
        """Start from the saved state. One that was kept from an earlier day may be of no use; then boot."""
        try:
            await self.machine.load(origin)
        except Broken:
            if not self._fresh:
                raise
            return False
        self.booted = False
        return True

    async def _boot(self) -> None:
        """Boot, once more where that came to nothing: of many boots, one may hang."""
        for last in range(self._boots - 1, -1, -1):
            try:
                await self.machine.boot(limit_s=self.terms.boot_s)
            except Broken:
                if not last:
                    raise
            else:
                return

    async def _attend(self) -> Lease:
        assert self._control is not None
        terms = self.terms
        self._agent = AgentAttendant(self.machine, limits=terms.limits, keep=self.keep, boot_s=terms.boot_s)
        if self.booted:
            await self._agent.start()
        elif self._fresh:
            waking = asyncio.create_task(self._wake(fresh=True), name=f"waking {self.label}")
            try:
                await self._agent.start()
                await waking
            finally:
                waking.cancel()
                await asyncio.wait({waking})
        else:  # waking ends the logins that were saved
            await self._wake(fresh=False)
            await self._agent.start()
        agent = AttendedEnvironment(self._agent, name=terms.name, limits=terms.limits)
        judge = MachineControl(self._control, agent=agent, user="agent", grade="root_shell")
        certificate, closure = await certify(
            MachineOutside(machine=self.machine, control=judge, fence=self._fence),
            name=terms.name,
            agent=self._agent,
            limits=terms.limits,
        )
        gate = SshGate(self._agent.login, judge)
        return Lease(agent=agent, control=judge, certificate=certificate, closure=closure, gate=gate)

    async def rehearse(self) -> None:
        """Let the agent's attendant in and out once, so that what that takes is in the machine's memory."""
        agent = AgentAttendant(
            self.machine, limits=self.terms.limits, keep=secrets.token_hex(16), boot_s=self.terms.boot_s
        )
        try:
            await agent.start()
        finally:
            await agent.aclose()
            await agent.link.aclose()
        await self.as_root(["pkill", "-KILL", "-u", "agent"])

    async def as_root(self, argv: Sequence[str], stdin: bytes = b"") -> int:
        """Run a short command in the machine as its root, and return its exit status.

        Raises:
            Broken: the machine is gone.
        """
        assert self._control is not None
        answer = await self._control.ask("exec", stdin, argv=argv, timeout_s=20.0, most=1 << 12, cwd="/")
        return int(answer.fields["status"])

    async def _wake(self, *, fresh: bool) -> None:
        """Bring a machine that was saved into the present; `fresh` where no agent had logged in."""
        if not fresh:
            await self.as_root(_END_LOGINS)
        await self.as_root(["perl", "-e", _WAKE, f"{time.time():.6f}"], secrets.token_bytes(64))

    async def save(self, memory: int) -> Saved:
        """Save the machine, its memory into an open file."""
        return await self.machine.save(memory)

    async def restore(self, saved: Saved) -> None:
        """Put the machine back under the handles that are out."""
        assert self._control is not None
        if self._agent is not None:
            self._agent.lose()
        self._control.lose()
        await self.machine.load(saved)
        await self._wake(fresh=False)

    async def end(self) -> None:
        """End everything and prove it, however often this is cancelled meanwhile.

        Raises:
            Leaked: a process, a control group or the machine's folder is still there.
        """
        await to_the_end(self._end())

    async def _end(self) -> None:
        if self._machine is not None and self._machine.fault is not None:
            self._kept_log()
        async with AsyncExitStack() as steps:  # the last first, and all of them whatever one of them raises
            steps.push_async_callback(self._clear_away)
            steps.callback(self._hand_over, (0, 0))
            if self._agent is not None:
                steps.push_async_callback(self._agent.link.aclose)
            if self._machine is not None:
                steps.push_async_callback(self._machine.close)
            for attendant in (self._control, self._agent):
                if attendant is not None:
                    steps.push_async_callback(attendant.let_go)

    async def _clear_away(self) -> None:
        if self._origin is not None:
            self._origin.close()
            self._origin = None
        await self._fence.lower()
        if self._scratch is not None:
            with suppress(OSError):
                await asyncio.to_thread(self._scratch.remove)
        if self._held is not None:
            await self._held.release()

    def _hand_over(self, owner: tuple[int, int]) -> None:
        """Give the files of devices that are handed through to who opens them; only root can, or has to."""
        if os.geteuid() == 0:
            for node in self.terms.hardware.handed_files():
                with suppress(FileNotFoundError):
                    os.chown(node, *owner)

    def _kept_log(self) -> str:
        """Keep the console's log, and return where it is as the end of a message."""
        if self._machine is None or not self._machine.log.exists():
            return ""
        with suppress(OSError):
            self.terms.logs.mkdir(parents=True, exist_ok=True)
            name = "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in self.label)
            kept = self.terms.logs / f"{name or 'machine'}-{os.getpid()}.serial.log"
            shutil.copyfile(self._machine.log, kept)
            return f"; what its console said is in {kept}"
        return ""
