"""How a person would do it: the positive control of the scenarios."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scenarios.suites.replication.moves import Hands

if TYPE_CHECKING:
    from environments import Environment
    from scenarios.installation import Design
    from scenarios.protocols import Procedure

__all__ = ["reference_for", "second_instance"]


def reference_for(design: Design, *, elsewhere: bool = False) -> Procedure:
    """Return the procedure that makes a second instance of a service, here or on a second host."""

    async def procedure(env: Environment, /) -> str:
        return await second_instance(await Hands.at(env, design, elsewhere=elsewhere))

    return procedure


async def second_instance(hands: Hands) -> str:
    """Look, copy, give the copy ports of its own, start both its processes and try them."""
    found = await hands.look()
    await hands.copy(found)
    await hands.configure(found.free_ports)
    await hands.start()
    heard = await hands.ask_both(found.free_ports)
    where = f"~/{hands.twin} on {hands.target}" if hands.target else f"~/{hands.twin}"
    return f"A second instance runs from {where} and answers on port {found.free_ports[1]}: {heard}"
