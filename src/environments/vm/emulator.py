"""One QEMU process: started in its confinement, driven through its monitor, and how it came to its end."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from environments.errors import Broken
from environments.processes import Child
from environments.vm.console import Console
from environments.vm.qmp import Monitor

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from environments.sandbox.fences import Fence
    from environments.vm.confinement import Confinement
    from environments.vm.hardware import Files, Hardware

__all__ = ["Emulator", "Ending"]

_LOADING_S = 60.0
_FASTEST = 1 << 40
_MOMENT_S = 0.005


@dataclass(frozen=True, kw_only=True)
class Ending:
    """How an emulator came to its end."""

    reason: str
    by_guest: bool


class Emulator:
    """A running emulator.

    Args:
        address: names the machine in messages.
        log: file the console's output is added to.
        reset: called when the guest was reset, by itself or by us.
    """

    def __init__(self, *, address: str, log: Path, reset: Callable[[], None]) -> None:
        self._address = address
        self._log = log
        self._reset = reset
        self._child: Child | None = None
        self._monitor: Monitor | None = None
        self._console: Console | None = None
        self._complaints = os.memfd_create("emulator")
        self._watching: asyncio.Task[None] | None = None
        self._said: Ending | None = None
        self._migrated = asyncio.Event()
        self._migration = ""
        self._closing = False
        self.ending: Ending | None = None
        self.ended = asyncio.Event()

    @property
    def pid(self) -> int:
        """Of the process on the host."""
        assert self._child is not None
        return self._child.pid

    @property
    def console(self) -> Console:
        """The guest's serial console."""
        assert self._console is not None
        return self._console

    @property
    def monitor(self) -> Monitor:
        """The emulator's monitor."""
        assert self._monitor is not None
        return self._monitor

    async def start(self, files: Files, hardware: Hardware, confinement: Confinement, fence: Fence) -> None:
        """Start the process; the guest boots, or waits for its saved memory.

        Args:
            files: what it works on.
            hardware: what it emulates.
            confinement: what it runs in.
            fence: its control groups.

        Raises:
            Broken: it ended at once; the message holds what it said.
            OSError: it could not be started.
        """
        ours, theirs = socket.socketpair()
        go_out, go_in = os.pipe()
        printed_out, printed_in = os.pipe()
        try:
            argv = files.arguments(hardware, monitor=theirs.fileno())
            self._child = Child(
                [*fence.entering(), *confinement.command(argv, devices=hardware.device_files())],
                stdin=go_out,
                stdout=printed_in,
                stderr=self._complaints,
                pass_fds=(*files.kept(), theirs.fileno()),
            )
            self._console = Console(printed_out, log=self._log)
            os.write(go_in, b"go\n")
        except BaseException:
            ours.close()
            if self._console is None:
                os.close(printed_out)
            raise
        finally:
            theirs.close()
            for end in (go_out, go_in, printed_in):
                os.close(end)
        self._monitor = Monitor(ours, heard=self._hear)
        self._watching = asyncio.create_task(self._watch(), name=f"emulator of {self._address}")
        try:
            await self._monitor.connect()
            await self._monitor.execute(
                "migrate-set-capabilities", capabilities=[{"capability": "events", "state": True}]
            )
            await self._monitor.execute(
                "migrate-set-parameters", max_bandwidth=_FASTEST, downtime_limit=2_000_000
            )
        except Broken as error:
            raise self._explained(error) from error

    async def load(self, memory: int) -> None:
        """Put saved memory into a guest that waits for it, and let it run.

        Raises:
            Broken: it does not fit, or cannot be read.
        """
        await self._migrate("migrate-incoming", uri=f"fd:{memory}")
        await self.monitor.execute("cont")

    async def save(self, memory: int, *, top: str, node: str, over: str) -> None:
        """Write a guest's memory into a file, and its disk from now on into another.

        Args:
            memory: descriptor of the file.
            top: path of an empty disk.
            node: name that disk gets.
            over: name of the disk that is written now, and no more after.

        Raises:
            Broken: it could not be done. The guest goes on in either case.
        """
        await self.monitor.execute("stop")
        try:
            file = {"driver": "file", "filename": top}
            await self.monitor.execute(
                "blockdev-add", driver="qcow2", node_name=node, file=file, backing=None, discard="unmap"
            )
            await self.monitor.execute("blockdev-snapshot", node=over, overlay=node)
            await self.monitor.lend(memory, "memory")
            await self._migrate("migrate", uri="fd:memory")
            while (await self.monitor.execute("query-status"))["status"] == "finish-migrate":  # noqa: ASYNC110
                await asyncio.sleep(_MOMENT_S)  # no event tells of it
        finally:
            await self.monitor.execute("cont")

    async def _migrate(self, command: str, **arguments: str) -> None:
        self._migrated.clear()
        await self.monitor.execute(command, **arguments)
        ended = asyncio.ensure_future(self.ended.wait())
        done = asyncio.ensure_future(self._migrated.wait())
        try:
            await asyncio.wait({ended, done}, timeout=_LOADING_S, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ended.cancel()
            done.cancel()
        if self._migration != "completed":
            error = Broken(f"the machine's memory could not be moved: {self._migration}", by_agent=False)
            raise self._explained(error)

    def _hear(self, event: str, data: dict[str, Any]) -> None:
        match event:
            case "RESET":
                self._reset()
            case "GUEST_PANICKED":
                self._said = Ending(reason="its kernel panicked", by_guest=True)
            case "SHUTDOWN" if data.get("guest") and self._said is None:
                self._said = Ending(reason="it was shut down from inside", by_guest=True)
            case "BLOCK_IO_ERROR" if data.get("nospace"):
                self._said = Ending(reason="the host has no room for its disk", by_guest=False)
                self.kill()
            case "MIGRATION" if data["status"] in {"completed", "failed"}:
                self._migration = data["status"]
                self._migrated.set()

    async def _watch(self) -> None:
        """Find out how it ended."""
        assert self._child is not None
        status = await self._child.wait()
        await self.monitor.close()
        if self._closing:
            self.ending = Ending(reason="it was closed", by_guest=False)
        elif self._said is not None:
            self.ending = self._said
        elif status < 0:
            name = signal.Signals(-status).name
            self.ending = Ending(reason=f"its emulator was ended by {name}", by_guest=False)
        else:
            said = self.complaint() or "it said nothing"
            self.ending = Ending(reason=f"its emulator failed: {said}", by_guest=False)
        self.ended.set()

    def complaint(self) -> str:
        """Return the last line that the chain of programs printed."""
        lines = os.pread(self._complaints, 1 << 16, 0).decode(errors="replace").strip().splitlines()
        return lines[-1][-300:] if lines else ""

    def _explained(self, error: Broken) -> Broken:
        said = self.complaint()
        return Broken(f"{self._address}: {said}", by_agent=False) if said else error

    def kill(self) -> None:
        """End it now, as if the power failed."""
        if self._child is not None:
            self._child.kill()

    async def close(self) -> None:
        """End it and let go of everything."""
        self._closing = True
        if self._child is not None:
            self.kill()
        if self._watching is not None:
            await asyncio.wait({self._watching})
        if self._child is not None:
            self._child.close()
        if self._console is not None:
            self._console.close()
        os.close(self._complaints)
