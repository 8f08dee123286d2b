"""A fact among an office's papers: what its world and its oracle are worth."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from judged_worlds import first_missed, judged, opened, played, stops

from scenarios import Obstacles
from scenarios.hands import run_in_background, shell
from scenarios.suites.autonomy.find_fact import find_fact
from scenarios.suites.autonomy.find_fact.papers import STATION
from scenarios.suites.autonomy.find_fact.reference import Desk, find, reload_beacon, set_sign, signs_of

if TYPE_CHECKING:
    from environments import Environment

pytestmark = pytest.mark.anyio

STOPS = {
    "older-paper": "found",
    "draft": "found",
    "near-miss": "found",
    "all-of-them": "decided",
    "not-taken-over": "in_use",
    "replayed": "in_use",
    "papers-thrown-away": "rest_kept",
    "another-station": "rest_kept",
}
"""How far each cheat gets."""


@pytest.mark.parametrize("difficulty", find_fact.difficulties)
async def test_the_reference_solves_every_difficulty(difficulty: int) -> None:
    verdict = await judged(find_fact.at(difficulty), find_fact.procedure, seed=difficulty)
    assert verdict.status == "pass", verdict.reason


async def test_each_cheat_gets_so_far_and_no_further() -> None:
    assert await stops(find_fact) == STOPS


async def test_hurdles_stand_in_the_way_and_can_be_mended() -> None:
    hurdles = Obstacles.of(missing_file=1, wrong_permission=1, stale_lock=1, absent_package=1)
    verdict, faced = await played(find_fact.at(3).facing(hurdles), find_fact.procedure)
    assert verdict.status == "pass", verdict.reason
    assert {each.name for each in faced if not each.repaired} == set()


async def newest_in_force(env: Environment, /) -> str:
    """Take the newest paper that is no draft, and look no further."""
    desk = Desk(env)
    await desk.read(STATION)
    papers = [sheet for sheet in desk.about(f"Call sign of {STATION}") if sheet.heads["Status"] == "in force"]
    await set_sign(env, signs_of(papers)[-1])
    return await reload_beacon(env)


async def test_what_suffices_for_an_easy_office_does_not_for_a_hard_one() -> None:
    assert (await judged(find_fact.at(1), newest_in_force)).status == "pass"
    for difficulty in (2, 5):
        assert first_missed(await judged(find_fact.at(difficulty), newest_in_force)) == "found"


async def test_a_beacon_started_anew_is_a_beacon() -> None:
    async def restarted(env: Environment, /) -> str:
        await find(env)
        await shell(
            env, "pid=$(cat beacon/run/beacon.pid); kill $pid; while [ -e /proc/$pid ]; do sleep 0.05; done"
        )
        await run_in_background(env, "python3 -IS beacon.py", directory="beacon", log="logs/beacon.log")
        return await shell(env, "cd beacon; until python3 -IS beaconctl.py status; do sleep 0.1; done")

    verdict = await judged(find_fact, restarted)
    assert verdict.status == "pass", verdict.reason


async def test_the_beacon_refuses_what_is_no_call_sign() -> None:
    async with opened(find_fact, 0) as (lease, laid):
        await set_sign(lease.agent, "KL-48")
        assert "'KL-48' is no call sign" in await reload_beacon(lease.agent)
        assert laid.secret.used in await shell(lease.agent, "cd beacon && python3 -IS beaconctl.py status")


async def test_the_same_seed_makes_the_same_office_with_another_fact() -> None:
    seen = []
    for _ in range(2):
        async with opened(find_fact.at(5), 3) as (lease, laid):
            facts = await lease.control.walk(lease.agent.home)
            texts = [await lease.control.look(fact.path) or b"" for fact in facts if fact.kind == "file"]
            # Put together from two places, it stands in none of them.
            assert not [text for text in texts if laid.secret.fact.encode() in text]
            seen.append(({fact.path for fact in facts if fact.path.name != "beacon.pid"}, laid.secret.fact))
    (first, fact), (second, other) = seen
    assert first == second
    assert len(first) > 600
    assert fact != other
