"""Virtual machines: restored beside booted, forks beside what they wrote, SSH beside the guest's own clock.

    python -m benchmarks.machines_vm      takes two or three minutes

Uses KVM where machines boot with it, else software emulation. The image is that of `redline vm build`.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import tempfile
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.tables import Row, table
from environments import Limits
from environments.ssh.address import SshHost
from environments.ssh.connection import connect
from environments.vm import VirtualMachine
from environments.vm.accelerator import choose
from environments.vm.hardware import Hardware
from environments.vm.images import cache, find_image, verify
from environments.vm.stay import Stay, Terms

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from environments.vm.machine import Machine, Saved

__all__ = ["measure"]

_LIMITS = Limits(memory_bytes=512 << 20)
_WRITTEN_MB = 32
_WRITE = f"dd if=/dev/urandom of=new bs=1M count={_WRITTEN_MB} 2>/dev/null; sync; echo done"


class _Start(NamedTuple):
    """A machine's start, in seconds since it was asked for."""

    running: float
    """The machine is there, and root's attendant answers."""
    answered: float
    """A command over a new SSH connection has ended."""
    guest: float
    """What the guest's kernel and sshd needed, by the guest's own clock on its serial console."""


async def _terms() -> Terms:
    image = find_image("minimal")
    await verify(image)
    hardware = Hardware(
        accel=await choose("auto", image, _LIMITS),
        memory_bytes=_LIMITS.memory_bytes,
        cpus=1,
        disk_bytes=_LIMITS.disk_bytes,
    )
    logs = cache() / "logs"
    return Terms(name="vm", image=image, hardware=hardware, limits=_LIMITS, boot_s=180.0, logs=logs)


@asynccontextmanager
async def _started(terms: Terms, origin: Saved | None = None) -> AsyncGenerator[tuple[Stay, _Start], None]:
    """Start a machine and run a command on it over SSH, without attendants and certificate."""
    stay = Stay(terms, label=f"benchmark-{secrets.token_hex(3)}", origin=origin)
    began = time.perf_counter()
    try:
        await stay.start()
        running = time.perf_counter() - began
        assert await _told(stay.machine, "echo up") == b"up\n"
        answered = time.perf_counter() - began
        yield stay, _Start(running=running, answered=answered, guest=stay.machine.emulator.console.up_s)
    finally:
        await stay.end()


async def _told(machine: Machine, command: str) -> bytes:
    """Run a command over a connection of its own."""
    host = SshHost(
        address="machine",
        user="agent",
        identities=(machine.image.agent_key,),
        host_key=machine.image.host_key,
        dial=machine.dial,
        config=None,
        connect_s=120.0,
    )
    async with connect(host) as connection:
        wire = await connection.wire(command)
        return await wire.receive()


async def measure(times: int = 3) -> str:
    """Return the tables."""
    terms = await _terms()
    booted, restored, grown, idle = [], [], [], []
    for _ in range(times):
        async with _started(terms) as (stay, start):
            booted.append(start)
            memory = os.open(tempfile.gettempdir(), os.O_RDWR | os.O_TMPFILE, 0o600)
            saved = await stay.save(memory)
            os.close(memory)
        try:
            async with _started(terms, saved.copy()) as (fork, start):
                restored.append(start)
                before = _written(fork.machine)
                assert await _told(fork.machine, _WRITE) == b"done\n"
                idle.append(before / 1e6)
                grown.append((_written(fork.machine) - before) / 1e6)
        finally:
            saved.close()
    opened = await _openings(terms, times)
    speed = table(
        f"machine under {terms.hardware.accel}",
        "booted",
        [
            _beside("restored: root's attendant answers", _column(restored, 0), _column(booted, 0)),
            _beside("restored: a command over SSH", _column(restored, 1), _column(booted, 1)),
            Row(
                what="opened for a trial, examined and certified",
                unit="s",
                values=opened[0],
                beside=opened[1],
            ),
        ],
    )
    ssh = Row(
        what="a command over SSH",
        unit="s",
        values=[s.answered for s in booted],
        beside=[s.guest for s in booted],
        at_most=3,
    )
    disk = Row(
        what=f"growth, {_WRITTEN_MB} MB written",
        unit="MB",
        values=grown,
        beside=[_WRITTEN_MB * 1.048576] * times,
        at_most=1.25,
    )
    return "\n\n".join(
        (
            speed,
            table("booted machine", "its kernel and sshd, by its own clock", [ssh]),
            table("disk of a fork", "what it wrote", [disk]),
            table("disk of a fork", "", [Row(what="idle", unit="MB", values=idle, at_most=8)]),
        )
    )


def _column(starts: list[_Start], number: int) -> list[float]:
    return [start[number] for start in starts]


def _beside(what: str, restored: list[float], booted: list[float]) -> Row:
    return Row(what=what, unit="s", values=restored, beside=booted, at_most=0.2)


async def _openings(terms: Terms, times: int) -> tuple[list[float], list[float]]:
    """Return the seconds to open a machine as a trial does, certificate and all, restored and booted."""
    restored: list[float] = []
    booted: list[float] = []
    accel = terms.hardware.accel
    async with VirtualMachine(accel=accel, limits=_LIMITS).open(label="warming up", seed=0):
        pass
    for _ in range(times):
        for warm, seconds in ((True, restored), (False, booted)):
            provider = VirtualMachine(accel=accel, limits=_LIMITS, warm=warm)
            began = time.perf_counter()
            async with provider.open(label="benchmark", seed=0):
                seconds.append(time.perf_counter() - began)
    return restored, booted


def _written(machine: Machine) -> int:
    """Return the bytes that a machine's own disks take on the host."""
    return sum(disk.stat().st_blocks * 512 for disk in machine.scratch.glob("disk-*.qcow2"))


if __name__ == "__main__":
    print(asyncio.run(measure()))
