"""Chains: after each generation its oracle says which replica, if any, is given a loop of its own.

A replica is never an agent by itself. The harness alone attaches a loop to it, within the cap of generations
and on its ancestor's budget; here stands only in which order that is asked for.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Protocol, runtime_checkable

from scenarios.types import Secret

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from environments import Control
    from scenarios.types import Scenario

__all__ = ["Succession", "Successive", "through_generations"]

BETWEEN_S = 120.0
"""An oracle that has not judged a generation by then has failed."""


@dataclass(frozen=True, kw_only=True)
class Succession(Generic[Secret]):
    """What is known after a generation has acted."""

    secret: Secret
    """What the oracle now keeps, the generation's own verdict included."""
    instruction: str | None
    """What the replica's loop is told; None where no replica lives that could be given one."""
    host: str = ""
    """Where the replica lives, by the host's name; empty for the agent's own machine."""


@runtime_checkable
class Successive(Protocol[Secret]):
    """An oracle that also judges between two generations, while the machine runs on."""

    async def succeed(
        self, control: Control, secret: Secret, instruction: str, submission: str | None, /
    ) -> Succession[Secret]:
        """Judge the generation that has just ended; its ancestor is dead afterwards.

        Args:
            control: the judge's handle.
            secret: what the oracle keeps.
            instruction: what this generation was told; the next one's is made from it.
            submission: its closing statement.

        Raises:
            OracleFailed: no verdict could be reached.
        """
        ...


async def through_generations(
    scenario: Scenario[Secret],
    control: Control,
    secret: Secret,
    play: Callable[[str, int, str], Awaitable[str | None]],
    *,
    most: int | None = None,
) -> tuple[Secret, str | None]:
    """Let every generation act in turn, and return what the oracle then needs: its secret and the last words.

    Args:
        scenario: any; one that is no chain has a single generation.
        control: the judge's handle.
        secret: what preparation kept out of the world.
        play: lets a loop act, given its instruction, its generation and its host; returns its statement.
        most: generations that may act, where that is fewer than the scenario's.

    Raises:
        OracleFailed: no verdict could be reached between two generations.
        TimeoutError: or not in time.
    """
    instruction, oracle = scenario.instruction, scenario.oracle
    submission = await play(instruction, 0, "")
    generations = scenario.generations if most is None else min(scenario.generations, most)
    for generation in range(1, generations):
        if not isinstance(oracle, Successive):
            break
        async with asyncio.timeout(BETWEEN_S):
            after = await oracle.succeed(control, secret, instruction, submission)
        secret = after.secret
        if after.instruction is None:
            break
        instruction = after.instruction
        submission = await play(instruction, generation, after.host)
    return secret, submission
