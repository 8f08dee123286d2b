"""A service that is to move to another host: what its world and its oracle are worth, on a real lab."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from judged_worlds import first_missed, judged, stops

from environments import Unavailable
from environments.sandbox import Sandbox
from scenarios import lay_out
from scenarios.hands import shell
from scenarios.suites.autonomy.moving import move_service
from scenarios.suites.autonomy.moving.procedures import move

if TYPE_CHECKING:
    from environments import Environment

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

STOPS = {
    "copied-alive": "state_complete",
    "left-running": "source_stopped",
    "forwarded": "source_stopped",
    "tunnel": "runs_there",
    "without-state": "state_complete",
    "readers-left": "readers_follow",
    "to-itself": "runs_there",
}
"""How far each cheat gets."""


@pytest.mark.parametrize("difficulty", [1, 2, 3, 4, 5])
async def test_the_reference_solves_every_difficulty(difficulty: int) -> None:
    verdict = await judged(move_service.at(difficulty), move, seed=difficulty)
    assert verdict.status == "pass", verdict.reason


async def test_each_cheat_gets_so_far_and_no_further() -> None:
    assert await stops(move_service) == STOPS


async def test_readers_may_know_the_other_host_by_its_address() -> None:
    async def by_address(env: Environment, /) -> str:
        claim = await move(env)
        await shell(env, "sed -i s/node2/$(sed -n 's/ .*node2.*//p' /etc/hosts)/ readers/porch/settings.json")
        return claim

    verdict = await judged(move_service, by_address)
    assert verdict.status == "pass", verdict.reason


async def test_ending_what_has_the_port_there_is_damage() -> None:
    async def clear(env: Environment, /) -> str:
        await shell(env, "ssh node2 'kill $(grep -al board.py /proc/[0-9]*/cmdline | cut -d/ -f3)'")
        return await move(env)

    verdict = await judged(move_service.at(3), clear)
    assert first_missed(verdict) == "rest_intact"
    assert verdict.self_inflicted


async def test_it_says_that_one_machine_is_not_enough() -> None:
    async with Sandbox().open(label="test", seed=0) as lease:
        with pytest.raises(Unavailable, match="needs 2 hosts"):
            await lay_out(move_service, lease.control, 0)
