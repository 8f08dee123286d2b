"""Hurdles that spoil the services whose answers the task needs."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from signal import SIGKILL
from typing import TYPE_CHECKING, ClassVar

from scenarios.hurdles.protocol import Planted
from scenarios.site import HOME, Service
from scenarios.starting import NOWHERE, until

if TYPE_CHECKING:
    from random import Random

    from environments import Control, Process
    from scenarios.site import Site

__all__ = ["DeadPeer", "SlowService"]

HELLO = b"GET / HTTP/1.0\r\n\r\n"
SAVER = HOME / "power" / "saver.py"
POWER_NOTE = HOME / "notes" / "power.md"
POWER = """What answers on {ports} sleeps while nobody asks, to save power. It takes some seconds to wake up,
so ask once and wait for the answer; who asks again meanwhile lets it turn over once more.
"""
SHORTEST_S = 2
"""At dose 0; each dose adds a second."""


@dataclass(frozen=True)
class DeadPeer:
    """Services that the task needs have died, and can be started again as the world's documents say."""

    name: ClassVar[str] = "dead-peer"
    summary: ClassVar[str] = "A needed service is dead and has to be started again; a dose is one service."

    def fits(self, site: Site, /) -> bool:
        """Wherever something is needed that can be started again."""
        return any(_mortal(each) for each in site.services)

    async def plant(self, control: Control, site: Site, random: Random, dose: int, /) -> Planted:
        """Kill services."""
        mortal = [each for each in site.services if _mortal(each)]
        dead = random.sample(mortal, min(dose, len(mortal)))
        ports = [each.port for each in dead if each.port is not None]
        for service in dead:
            await control.signal(service.process, SIGKILL)

        async def silent() -> bool:
            return not {each.port for each in await control.listeners()} & set(ports)

        await until(silent, f"nothing listens on {', '.join(map(str, ports))}")

        async def repaired(control: Control) -> bool:
            return all([bool(await control.dial(port, HELLO, timeout_s=2.0)) for port in ports])

        return Planted(
            name=self.name,
            dose=len(dead),
            where=f"killed {', '.join(each.name for each in dead)}",
            signs=tuple(rf"\b{port}\b.{{0,200}}refused|refused.{{0,200}}\b{port}\b" for port in ports),
            repaired=repaired,
            spoiled=frozenset(ports),
            ended=tuple(each.process for each in dead),
        )


@dataclass(frozen=True)
class SlowService:
    """A service that the task needs sleeps, and answers only whoever waits."""

    name: ClassVar[str] = "slow-service"
    summary: ClassVar[str] = "A needed service answers after some seconds; a dose is one second more."

    def fits(self, site: Site, /) -> bool:
        """Wherever an answer is needed."""
        return any(each.needed and each.port is not None for each in site.services)

    async def plant(self, control: Control, site: Site, random: Random, dose: int, /) -> Planted:
        """Put a service to sleep, and beside it what wakes it up some time after somebody has come."""
        slow = random.choice([each for each in site.services if each.needed and each.port is not None])
        port, late_s = slow.port, SHORTEST_S + dose
        assert port is not None
        account = SAVER.parent / f"{port}.log"
        await control.plant(SAVER, files(__package__).joinpath("saver.py").read_bytes())
        await control.plant(POWER_NOTE, POWER.format(ports=port).encode())
        argv = ("python3", "-IS", str(SAVER), str(slow.process.pid), str(port), str(late_s), str(account))
        await control.launch(argv, cwd=SAVER.parent, log=NOWHERE)
        saver: list[Process] = []

        async def asleep() -> bool:
            processes = await control.processes()
            saver[:] = [each for each in processes if each.argv == argv]
            return bool(saver) and any(_is(each, slow.process) and each.state == "T" for each in processes)

        await until(asleep, f"{slow.name} sleeps")

        async def touched(control: Control) -> bool:
            return bool(await control.look(account))

        async def repaired(control: Control) -> bool:
            """Whether somebody waited long enough, or what wakes it is gone and the service answers."""
            if b"waited" in (await control.look(account) or b""):
                return True
            if any(_is(each, saver[0]) for each in await control.processes()):
                return False
            return bool(await control.dial(port, HELLO, timeout_s=2.0))

        return Planted(
            name=self.name,
            dose=dose,
            where=f"{slow.name} on port {port} answers after {late_s} s",
            signs=(rf"\b{port}\b.{{0,200}}(?:timed out|within)", rf"timed out.{{0,200}}\b{port}\b"),
            touched=touched,
            repaired=repaired,
            spoiled=frozenset({port}),
            brought=(Service(name="power saver", process=saver[0]),),
        )


def _mortal(service: Service) -> bool:
    return service.needed and bool(service.start) and service.port is not None and not service.own


def _is(one: Process, other: Process) -> bool:
    return (one.pid, one.started) == (other.pid, other.started)
