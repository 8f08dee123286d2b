"""A virtual machine from its first emulator to its last: booted, saved, put back, reset, gone."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from environments.errors import Broken, LinkLost
from environments.processes import output_of
from environments.sandbox.sockets import Dialer
from environments.vm.emulator import Emulator
from environments.vm.hardware import Files
from environments.vm.wires import Port

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

    from environments.sandbox.fences import Fence
    from environments.vm.confinement import Confinement
    from environments.vm.hardware import Hardware
    from environments.vm.images import Image
    from environments.warden import Held
    from environments.wire import Wire

__all__ = ["Machine", "Saved"]

_SSH_PORT = 2222
_LAST_WORDS_S = 2.0
_AGAIN_S = 180.0
"""How long a machine that was reset may take to come up again."""


@dataclass(frozen=True, kw_only=True)
class Saved:
    """A machine's memory and the disks under it, as open files. Nothing writes them any more."""

    memory: int
    layers: tuple[int, ...]

    def copy(self) -> Saved:
        """Return the same files, opened for somebody else."""
        return Saved(memory=os.dup(self.memory), layers=tuple(os.dup(fd) for fd in self.layers))

    def close(self) -> None:
        """Let go of the files."""
        for fd in (self.memory, *self.layers):
            os.close(fd)


class Machine:
    """One machine.

    Args:
        address: names it in messages.
        image: what it boots.
        hardware: what it consists of.
        confinement: what its emulators run in.
        fence: their control groups.
        scratch: a folder of the confinement's owner that is the machine's alone.
        held: the machine, as the warden holds it.
    """

    def __init__(
        self,
        *,
        address: str,
        image: Image,
        hardware: Hardware,
        confinement: Confinement,
        fence: Fence,
        scratch: Path,
        held: Held,
    ) -> None:
        self.address = address
        self.image = image
        self.hardware = hardware
        self.confinement = confinement
        self.scratch = scratch
        self.port = _SSH_PORT if confinement.alone else 0
        """On the loopback interface the emulator sees, leading to the machine's sshd."""
        self._fence = fence
        self._held = held
        self._boot_files = [
            os.open(image.file(name), os.O_RDONLY | os.O_CLOEXEC) for name in ("kernel", "initrd")
        ]
        self._layers: tuple[int, ...] = ()
        self._tops = 0
        self.attended = False
        """Whether root's attendant runs in the machine, waiting for questions."""
        self._emulator: Emulator | None = None
        self._port: Port | None = None
        self._dialer: Dialer | None = None
        self._dialled: list[socket.socket] = []
        self._state: Literal["down", "up", "gone"] = "down"
        self._turned = asyncio.Event()
        self._fault: Broken | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def fault(self) -> Broken | None:
        """Why the machine is gone; None while it is not."""
        return self._fault

    @property
    def log(self) -> Path:
        """What the machine wrote to its serial console."""
        return self.scratch / "serial.log"

    @property
    def emulator(self) -> Emulator:
        """The present emulator."""
        assert self._emulator is not None
        return self._emulator

    async def boot(self, *, limit_s: float) -> None:
        """Start it from its image and wait until it is up.

        Raises:
            Broken: it did not come up in time, or at all.
        """
        await self._end_emulator()
        self._replace_layers((_opened(self.image.file("disk.qcow2")),))
        await self._launch()
        try:
            async with asyncio.timeout(limit_s):
                if not await self.emulator.console.wait_until_up():
                    await self.emulator.ended.wait()
        except TimeoutError:
            raise Broken(
                f"{self.address}: the machine was not up after {limit_s:g} s", by_agent=False
            ) from None
        if self.emulator.ending is not None:
            reason = self.emulator.ending.reason
            raise Broken(f"{self.address}: the machine did not boot: {reason}", by_agent=False)
        self._become("up")

    async def load(self, saved: Saved) -> None:
        """Start it from a saved state, whatever it is doing now.

        Raises:
            Broken: it could not be put back.
        """
        self._become("down")
        await self._end_emulator()
        self._replace_layers(tuple(os.dup(fd) for fd in saved.layers))
        # A descriptor of its own: a copy would share the place it is read at.
        memory = _opened(Path("/proc/self/fd", str(saved.memory)))
        try:
            await self._launch(memory)
            await self.emulator.load(memory)
        except BaseException as error:
            self._fail(Broken(f"{self.address}: the machine could not be put back: {error}", by_agent=False))
            raise
        finally:
            os.close(memory)
        self.attended = True
        self._become("up")

    async def save(self, memory: int) -> Saved:
        """Keep its memory in an open file, and its disk as it is now; the machine goes on.

        Raises:
            Broken: it could not be saved.
        """
        await self.up()
        frozen, number = self._top(), len(self._layers)
        top = await self._new_top()
        await self.emulator.save(memory, top=str(top), node=f"disk{number + 1}", over=f"disk{number}")
        self._replace_layers((*map(os.dup, self._layers), _opened(frozen)))
        return Saved(memory=memory, layers=self._layers).copy()

    async def up(self) -> None:
        """Wait until the machine can be talked to.

        Raises:
            Broken: it will not be any more.
        """
        try:
            async with asyncio.timeout(_AGAIN_S):
                while self._state == "down":
                    await self._turned.wait()
        except TimeoutError:
            text = f"{self.address}: the machine was reset and not up again after {_AGAIN_S:g} s"
            raise Broken(text, by_agent=True) from None
        if self._fault is not None:
            raise self._fault

    async def control(self) -> Wire:
        """Return a wire to the root's program in the machine.

        Raises:
            Broken: the machine is gone.
        """
        await self.up()
        assert self._port is not None
        try:
            return await self._port.wire()
        except OSError as error:
            await self.blame()
            raise LinkLost(f"{self.address}: the machine's port cannot be had: {error}") from error

    async def dial(self) -> socket.socket:
        """Return a connection to the machine's sshd.

        Raises:
            Broken: the machine is gone.
            OSError: it takes no connection.
        """
        await self.up()
        try:
            made = await self._connected()
        except (OSError, Broken):
            await self.blame()
            raise
        self._dialled = [known for known in self._dialled if known.fileno() >= 0]
        self._dialled.append(made)
        return made

    async def _connected(self) -> socket.socket:
        if self.confinement.alone:
            if self._dialer is None:
                spaces = f"/proc/{self.emulator.pid}/ns"
                self._dialer = Dialer(
                    user_namespace=f"{spaces}/user",
                    network_namespace=f"{spaces}/net",
                    started=self._held.process,
                )
            return await self._dialer.connect("127.0.0.1", self.port)
        made = socket.socket()
        made.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_connect(made, ("127.0.0.1", self.port))
        except BaseException:
            made.close()
            raise
        return made

    async def blame(self) -> None:
        """Raise what ended the machine, if it is about to be known: its wires end a moment before it does.

        Raises:
            Broken: the machine is gone.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(_LAST_WORDS_S):
                while self._state == "up":
                    await self._turned.wait()
        if self._fault is not None:
            raise self._fault

    def kill(self) -> None:
        """End it as if its power failed."""
        self.emulator.kill()

    async def close(self) -> None:
        """End it and let go of everything but the scratch folder."""
        self._state, self._fault = "gone", Broken(f"{self.address}: the machine was closed", by_agent=False)
        await self._end_emulator()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        for fd in (*self._boot_files, *self._layers):
            os.close(fd)
        self._boot_files, self._layers = [], ()

    # ------------------------------------------------------------------ emulators

    async def _launch(self, incoming: int | None = None) -> None:
        top = await self._new_top()
        self._port = Port(self.scratch / "control.sock")
        files = Files(
            kernel=self._boot_files[0],
            initrd=self._boot_files[1],
            layers=self._layers,
            top=str(top),
            control=self._port.listener.fileno(),
            netdev=self._netdev(),
            variables=self._variables(),
            incoming=incoming,
        )
        emulator = Emulator(address=self.address, log=self.log, reset=self._was_reset)
        self._emulator = emulator
        try:
            await emulator.start(files, self.hardware, self.confinement, self._fence)
            self._held.process(emulator.pid, namespaces=True)
        finally:
            self._port.listener.close()
        self._follow(self._see_it_end(emulator))

    def _netdev(self) -> str:
        if not self.confinement.alone:
            with socket.create_server(("127.0.0.1", 0)) as free:
                self.port = free.getsockname()[1]
        guest = self.hardware.address.partition("/")[0]
        return f"user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:{self.port}-{guest}:22"

    def _variables(self) -> Path | None:
        """Make the machine's own copy of what its firmware remembers."""
        fittings = self.hardware.fittings
        if fittings is None or fittings.firmware is None:
            return None
        own = self.scratch / "firmware.fd"
        if not own.exists():
            shutil.copyfile(fittings.firmware.variables, own)
            os.chown(own, *self.confinement.owner)
        return own

    async def _end_emulator(self) -> None:
        emulator, self._emulator = self._emulator, None
        self._cut()
        if self._port is not None:
            self._port.close()
        if self._dialer is not None:
            self._dialer.close()
            self._dialer = None
        if emulator is not None:
            await emulator.close()

    async def _see_it_end(self, emulator: Emulator) -> None:
        await emulator.ended.wait()
        if emulator is self._emulator and emulator.ending is not None:
            ending = emulator.ending
            self._fail(
                Broken(f"{self.address}: the machine is gone: {ending.reason}", by_agent=ending.by_guest)
            )
            if self._port is not None:
                self._port.close()

    def _was_reset(self) -> None:
        """Begin to wait for the machine to come up again; what was connected to it is not any more."""
        self.attended = False
        self._become("down")
        self._cut()
        if self._port is not None:
            with suppress(OSError):  # it ends with its emulator, which is noticed elsewhere
                self._port.reconnect()
        emulator = self.emulator
        self._follow(self._see_it_come_up(emulator, emulator.console.times_up + 1))

    async def _see_it_come_up(self, emulator: Emulator, times: int) -> None:
        if (
            await emulator.console.wait_until_up(times)
            and emulator is self._emulator
            and self._state == "down"
        ):
            self._become("up")

    def _follow(self, what: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(what, name=f"watch over {self.address}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _fail(self, fault: Broken) -> None:
        self._fault = fault
        self._become("gone")
        self._cut()

    def _become(self, state: Literal["down", "up", "gone"]) -> None:
        self._state = state
        if state != "gone":
            self._fault = None
        self._turned.set()
        self._turned = asyncio.Event()

    def _cut(self) -> None:
        for connection in self._dialled:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._dialled.clear()

    # ---------------------------------------------------------------------- disks

    def _top(self) -> Path:
        return self.scratch / f"disk-{self._tops}.qcow2"

    async def _new_top(self) -> Path:
        """Make the disk that is written from now on."""
        self._tops += 1
        size = str(self.image.disk_bytes)
        status, said = await output_of(["qemu-img", "create", "-q", "-f", "qcow2", str(self._top()), size])
        if status != 0:
            raise Broken(f"{self.address}: no disk could be made: {said.strip()[-300:]}", by_agent=False)
        os.chown(self._top(), *self.confinement.owner)
        return self._top()

    def _replace_layers(self, layers: Sequence[int]) -> None:
        for fd in self._layers:
            os.close(fd)
        self._layers = tuple(layers)


def _opened(path: Path) -> int:
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
