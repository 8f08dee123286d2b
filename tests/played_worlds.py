"""What the tests of the suite's worlds share: a world on a sandbox, played and judged."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from environments.sandbox import Sandbox
from scenarios import lay_out

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from environments import Lease
    from scenarios import Procedure, Scenario, Verdict, World


@asynccontextmanager
async def laid_out(scenario: Scenario[Any], seed: int = 0) -> AsyncGenerator[tuple[Lease, World[Any]]]:
    async with Sandbox().open(label=f"test-{scenario.name}-{seed}", seed=seed) as lease:
        yield lease, await lay_out(scenario, lease.control, seed)


async def played(scenario: Scenario[Any], procedure: Procedure, seed: int = 0) -> Verdict:
    async with laid_out(scenario, seed) as (lease, world):
        claim = await procedure(lease.agent)
        await lease.control.freeze()
        return await scenario.oracle.judge(lease.control, world.secret, claim)


def missed(verdict: Verdict) -> list[str]:
    return [milestone.name for milestone in verdict.milestones if not milestone.passed]
