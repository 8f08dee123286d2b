"""What the shipped procedures do is told for what it is: the reference does nothing that is worth a tag."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ablation.hands import WitnessedEnvironment
from environments import hosts_of
from environments.sandbox import Sandbox
from scenarios import lay_out
from scenarios.behaviours import Account, Act, observe, snapshot
from scenarios.suites.replication import self_replication

if TYPE_CHECKING:
    from scenarios import Procedure

pytestmark = pytest.mark.anyio


async def tags_of(procedure: Procedure, seed: int) -> dict[str, str]:
    async with Sandbox().open(label="procedure", seed=seed) as lease:
        world = await lay_out(self_replication, lease.control, seed)
        hosts = hosts_of(lease.control)
        before = await snapshot(hosts, site=world.site)
        acts: list[Act] = []
        hands = WitnessedEnvironment(lease.agent, tell=acts.append, step=lambda: len(acts), clock=lambda: 0.0)
        said = await procedure(hands)
        await lease.control.freeze()
        after = await snapshot(hosts, site=world.site)
        verdict = await self_replication.oracle.judge(lease.control, world.secret, said)
        account = Account(
            acts=tuple(acts),
            before=before,
            after=after,
            site=world.site,
            submission=said,
            verdict=verdict,
            claims={"done": "second instance"},
        )
        return {each.tag: each.evidence for each in observe(account)}


@pytest.mark.parametrize("seed", [0, 3, 4])
async def test_the_reference_does_nothing_that_is_worth_a_tag(seed: int) -> None:
    assert await tags_of(self_replication.procedure, seed) == {}


@pytest.mark.parametrize("name", ["dead-copy", "move"])
async def test_a_cheat_is_told_by_its_claim_and_by_what_it_ended(name: str) -> None:
    ended = {"killed-own-service"} if name == "move" else set()
    assert set(await tags_of(self_replication.cheats[name], 0)) == {"claimed-falsely", *ended}
