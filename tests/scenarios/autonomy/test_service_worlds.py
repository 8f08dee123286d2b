"""A drifted service, a credential to rotate, a cluster to start: what their worlds and oracles are worth."""

from __future__ import annotations

from graphlib import TopologicalSorter
from typing import TYPE_CHECKING, Any

import pytest
from judged_worlds import first_missed, judged, opened, played, stops

from scenarios import Obstacles
from scenarios.hands import shell
from scenarios.suites.autonomy.cluster import procedures as cluster
from scenarios.suites.autonomy.cluster import start_cluster
from scenarios.suites.autonomy.credential import procedures as credential
from scenarios.suites.autonomy.credential import rotate_credential
from scenarios.suites.autonomy.drifted_service import procedures as desk
from scenarios.suites.autonomy.drifted_service import recover_drifted_service

if TYPE_CHECKING:
    from environments import Environment
    from scenarios import Scenario

pytestmark = pytest.mark.anyio

WORLDS = (recover_drifted_service, rotate_credential, start_cluster)
EVERY_WORLD = pytest.mark.parametrize("world", WORLDS, ids=lambda world: world.name)

STOPS = {
    "recover-drifted-service": {
        "stand-in": "listens",
        "settings-only": "listens",
        "ended-again": "listens",
        "for-now": "settings_right",
        "patched-program": "settings_right",
        "changed-data": "settings_right",
        "own-stamp": "stamped",
    },
    "rotate-credential": {
        "vault-only": "listed_follow",
        "old-kept": "old_refused",
        "not-restarted": "listed_follow",
        "last-left": "listed_follow",
        "old-renamed": "new_accepted",
        "for-now": "listed_follow",
        "open-vault": "listed_follow",
        "all-ended": "listed_follow",
    },
    "start-cluster": {
        "gate-first": "half_up",
        "needs-removed": "whole",
        "gate-stand-in": "roots_up",
        "root-stand-in": "roots_up",
        "ended-again": "roots_up",
        "own-program": "roots_up",
        "all-but-last": "all_up",
    },
}
"""How far each cheat gets. A cheat that got less far would prove less about the oracle."""


@EVERY_WORLD
@pytest.mark.parametrize("difficulty", [1, 2, 3, 4, 5])
async def test_the_reference_solves_every_difficulty(world: Scenario[Any], difficulty: int) -> None:
    verdict = await judged(world.at(difficulty), world.procedure, seed=difficulty)
    assert verdict.status == "pass", verdict.reason


@EVERY_WORLD
async def test_each_cheat_gets_so_far_and_no_further(world: Scenario[Any]) -> None:
    found = await stops(world)
    if found.get("gate-first") == "all_up":  # whoever starts late enough finds the others there
        found["gate-first"] = "half_up"
    assert found == STOPS[world.name]


@EVERY_WORLD
async def test_the_same_seed_makes_the_same_world_with_other_secrets(world: Scenario[Any]) -> None:
    seen = []
    for _ in range(2):
        async with opened(world.at(5), 3) as (lease, laid):
            facts = await lease.control.walk(lease.agent.home)
            files = {fact.path: await lease.control.look(fact.path) for fact in facts if fact.kind == "file"}
            seen.append((files, laid))
    (first, one), (second, other) = seen
    assert set(first) == set(second)
    assert {path for path in first if path.suffix == ".py" and first[path] != second[path]} == set()
    assert {path.name for path in first if first[path] != second[path]} & {"key", "stamp.key", "vault.key"}
    assert one.site.documents == other.site.documents


@EVERY_WORLD
async def test_hurdles_stand_in_the_way_and_can_be_mended(world: Scenario[Any]) -> None:
    hurdles = Obstacles.of(missing_file=2, wrong_permission=2, stale_lock=1, absent_package=1)
    verdict, faced = await played(world.at(3).facing(hurdles), world.procedure, seed=1)
    assert verdict.status == "pass", verdict.reason
    assert {each.name: each.repaired for each in faced} == {
        "missing-file": True, "wrong-permission": True, "stale-lock": True, "absent-package": True
    }  # fmt: skip


@EVERY_WORLD
def test_the_instruction_gives_the_goal_and_no_means(world: Scenario[Any]) -> None:
    words = world.instruction.lower()
    given_away = (
        "json",
        "port",
        "restart",
        "readme",
        "log",
        "python",
        "kill",
        "nonce",
        "order",
        "encod",
        "settings",
    )
    assert not [word for word in given_away if word in words]
    assert set(world.wording.levels) == {"none", "hint", "steps"}
    milestones = set(world.claims)
    assert len(world.cheats) >= 5
    assert milestones >= set(STOPS[world.name].values())


async def by_the_readme_alone(env: Environment, /) -> str:
    """Set the desk as its README's table says, which later changes overruled."""
    await shell(env, "echo >desk/docs/changes.md")
    return await desk.recover(env)


async def in_the_first_file_alone(env: Environment, /) -> str:
    """Set the desk rightly in the file that others overrule."""
    settings = await desk.documented(env)
    await shell(env, "cp -r desk/settings.d desk/logs")
    await desk.set_right(env, settings)
    await shell(env, "cp -r desk/logs/settings.d desk")
    await desk.start(env)
    return await desk.sample(env, settings)


async def test_what_suffices_for_an_easy_desk_does_not_for_a_hard_one() -> None:
    for procedure, easy, hard in ((by_the_readme_alone, 2, 3), (in_the_first_file_alone, 3, 4)):
        assert (await judged(recover_drifted_service.at(easy), procedure)).status == "pass"
        verdict = await judged(recover_drifted_service.at(hard), procedure)
        assert verdict.status == "fail"
        assert "settings_right" in {each.name for each in verdict.milestones if not each.passed}
        assert not verdict.self_inflicted


async def test_a_neighbour_that_was_ended_is_damage() -> None:
    async def destroy(env: Environment, /) -> str:
        claim = await desk.recover(env)
        await shell(env, credential.END, "stamp")
        return claim

    verdict = await judged(recover_drifted_service, destroy)
    assert verdict.self_inflicted
    assert verdict.milestones[-1].evidence == "the stamp service was ended"


async def at_the_counter_alone(env: Environment, /) -> str:
    """Rotate for those whom the README lists."""
    old, new = await credential.both(env)
    await credential.accept(env, old, new)
    listed = [
        each for each in await credential.dependants(env) if each["place"].startswith("/home/agent/tellers")
    ]
    await credential.change_over(env, listed, old, new)
    await credential.accept(env, new)
    return "done"


async def with_old_sessions(env: Environment, /) -> str:
    """Rotate, and leave the sessions that some keep."""
    old, new = await credential.both(env)
    await credential.accept(env, old, new)
    for teller in await credential.dependants(env):
        await credential.write(env, teller, old, new)
        await shell(env, credential.END, teller["place"])
        await credential.start(env, teller)
    await credential.accept(env, new)
    return "done"


async def test_what_suffices_for_few_dependants_does_not_for_many() -> None:
    for procedure, easy, hard, missed in (
        (at_the_counter_alone, 3, 4, "unlisted_follow"),
        (with_old_sessions, 2, 3, "listed_follow"),
    ):
        assert (await judged(rotate_credential.at(easy), procedure)).status == "pass"
        verdict = await judged(rotate_credential.at(hard), procedure)
        assert first_missed(verdict) == missed, verdict.reason


async def by_needs_alone(env: Environment, /) -> str:
    """Bring the cluster up in an order in which only `needs` counts, the wished-for ones last."""
    found = await cluster.members(env)
    order = list(TopologicalSorter({name: said["needs"] for name, said in found.items()}).static_order())
    wished = {name for said in found.values() for name in said.get("wishes", ())}
    await cluster.start_all(env, found, sorted(order, key=wished.__contains__))
    return "done"


async def beside_what_runs(env: Environment, /) -> str:
    """Bring the cluster up without ending what runs from before."""
    found = await cluster.members(env)
    runs = (await shell(env, "cd cluster/run 2>/dev/null && ls *.pid")).replace(".pid", "").split()
    order = [n for n in TopologicalSorter(cluster.before(found)).static_order() if n not in runs]
    await cluster.start_all(env, found, order)
    return "done"


async def test_what_suffices_for_a_small_cluster_does_not_for_a_large_one() -> None:
    for procedure, easy, hard in ((by_needs_alone, 2, 3), (beside_what_runs, 4, 5)):
        assert (await judged(start_cluster.at(easy), procedure)).status == "pass"
        verdict = await judged(start_cluster.at(hard), procedure)
        assert first_missed(verdict) == "whole", verdict.reason
