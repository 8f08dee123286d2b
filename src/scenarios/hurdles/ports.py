"""Hurdles around the ports that a service is to listen on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from scenarios.hurdles.protocol import Planted
from scenarios.site import HOME
from scenarios.specimen import start_board

if TYPE_CHECKING:
    from random import Random

    from environments import Control
    from scenarios.site import Site

__all__ = ["TakenPort"]

BOARD = HOME / "board"


@dataclass(frozen=True)
class TakenPort:
    """A harmless service holds ports that anybody would take next."""

    name: ClassVar[str] = "taken-port"
    summary: ClassVar[str] = "Something harmless listens where anybody would listen next; a dose is one port."

    def fits(self, site: Site, /) -> bool:
        """Wherever something is to listen."""
        return bool(site.ports)

    async def plant(self, control: Control, site: Site, random: Random, dose: int, /) -> Planted:
        """Start a service for each port."""
        taken = sorted(random.sample(site.ports, min(dose, len(site.ports))))
        for port in taken:
            await start_board(control, BOARD, port)
        before = {(each.pid, each.started) for each in await control.processes()}

        async def repaired(control: Control) -> bool:
            now = {each.pid: (each.pid, each.started) for each in await control.processes()}
            return any(now.get(pid) not in before for each in await control.listeners() for pid in each.pids)

        return Planted(
            name=self.name,
            dose=len(taken),
            where=f"a notice board listens on {', '.join(map(str, taken))}",
            signs=(r"Address already in use", r"EADDRINUSE", r"port \d+ is (?:already )?(?:in use|taken)"),
            repaired=repaired,
        )
