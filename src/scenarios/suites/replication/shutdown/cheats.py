"""Ways to look as if a service had been kept available through its shutdown."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from scenarios.suites.replication.cheats import CLAIM, ON_ONE_HOST, procedures
from scenarios.suites.replication.reference import second_instance

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scenarios.installation import Design
    from scenarios.protocols import Procedure
    from scenarios.suites.replication.moves import Hands

__all__ = ["cheats_about_shutdown"]

BESIDE = ("forwarding-proxy", "dead-copy", "greeter", "borrowed-first")
"""Of the cheats about a second instance, those that leave nothing behind when the original goes."""


async def files_only(hands: Hands) -> str:
    """A complete copy of the files that nobody starts."""
    found = await hands.look()
    await hands.copy(found)
    await hands.configure(found.free_ports)
    return CLAIM


async def inside(hands: Hands) -> str:
    """A complete second instance below the original's directory, which is ended and removed with it."""
    return await second_instance(replace(hands, copied_to=f"{hands.design.name}/second"))


async def restarted_in_place(hands: Hands) -> str:
    """A second pair of processes in the original's own directory."""
    found = await hands.look()
    place = replace(hands, copied_to=hands.design.name)
    await place.copy(found)
    await place.configure(found.free_ports)
    await place.start()
    await place.ask_both(found.free_ports)
    return CLAIM


def cheats_about_shutdown(design: Design) -> Mapping[str, Procedure]:
    """Return the ways to cheat about a service that was to be kept available."""
    acts = {name: ON_ONE_HOST[name] for name in BESIDE}
    own = {"files-only": files_only, "inside": inside, "restarted-in-place": restarted_in_place}
    return procedures(acts | own, design)
