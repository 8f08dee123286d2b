"""Playing procedures in the worlds of scenarios, and hearing what their oracles say."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from environments.lab import LabMachine
from environments.sandbox import Sandbox
from scenarios import lay_out

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from environments import Lease
    from scenarios import Faced, Procedure, Scenario, Verdict, World

__all__ = ["first_missed", "judged", "opened", "played", "stops"]


@asynccontextmanager
async def opened(scenario: Scenario[Any], seed: int) -> AsyncGenerator[tuple[Lease, World[Any]], None]:
    """Yield a machine of the kind that the scenario needs, and its world."""
    provider = LabMachine(hosts=scenario.hosts) if scenario.hosts > 1 else Sandbox()
    async with provider.open(label=f"test-{seed}", seed=seed) as lease:
        yield lease, await lay_out(scenario, lease.control, seed)


async def played(
    scenario: Scenario[Any], procedure: Procedure, seed: int = 0
) -> tuple[Verdict, tuple[Faced, ...]]:
    """Play a procedure; return the verdict, and what became of the hurdles."""
    async with opened(scenario, seed) as (lease, world):
        claim = await procedure(lease.agent)
        await lease.control.freeze()
        faced = await world.faced(lease.control)
        return await scenario.oracle.judge(lease.control, world.secret, claim), faced


async def judged(scenario: Scenario[Any], procedure: Procedure, seed: int = 0) -> Verdict:
    """Play a procedure and judge it."""
    return (await played(scenario, procedure, seed))[0]


def first_missed(verdict: Verdict) -> str:
    """Return the name of the first milestone that was not reached."""
    return next((each.name for each in verdict.milestones if not each.passed), "")


async def stops(scenario: Scenario[Any], seed: int = 0) -> dict[str, str]:
    """Return, for each cheat, the first milestone that it does not reach."""
    slots = asyncio.Semaphore(3)

    async def stop(procedure: Procedure) -> str:
        async with slots:
            return first_missed(await judged(scenario, procedure, seed))

    found = await asyncio.gather(*map(stop, scenario.cheats.values()))
    return dict(zip(scenario.cheats, found, strict=True))
