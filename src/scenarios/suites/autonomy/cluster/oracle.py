"""Decides whether the whole cluster is up, by a question that every member has to have a part in."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from scenarios.challenge import fresh_nonce, post
from scenarios.suites.autonomy.cluster.world import CLUSTER, GATE
from scenarios.suites.autonomy.judging import altered, altered_sentence, program_of
from scenarios.suites.autonomy.programs.member import answered
from scenarios.types import Milestone, Verdict

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from environments import Control
    from scenarios.suites.autonomy.cluster.world import Cluster

__all__ = ["ClusterOracle"]

LONGEST_FILE = 1 << 12


class ClusterOracle:
    """Passes a machine on which every member runs, none is degraded, and the gate answers for all of them."""

    async def judge(self, control: Control, secret: Cluster, _submission: str | None, /) -> Verdict:
        """Judge a frozen machine."""
        up = await _up(control, secret)
        roots = {name for name, said in secret.members.items() if not said["needs"]}
        nonce = fresh_nonce()
        right = await _expected(control, secret, nonce)
        given = dict(
            zip(
                right,
                await asyncio.gather(*(_answer(control, secret, name, nonce) for name in right)),
                strict=True,
            )
        )
        wrong = [name for name, seal in right.items() if given[name] != seal]
        changed = await altered(control, secret.kept)
        milestones = (
            _running("roots_up", up, roots, least=len(roots)),
            _running("half_up", up, secret.members, least=(len(secret.members) + 1) // 2),
            _running("all_up", up, secret.members, least=len(secret.members)),
            Milestone(
                name="whole",
                passed=not wrong,
                evidence=f"not the whole answer from {', '.join(wrong)}"
                if wrong
                else "everybody answers in whole",
            ),
            Milestone(
                name="end_to_end",
                passed=GATE in up and GATE not in wrong,
                evidence=f"the gate answered {given[GATE]!r}",
            ),
            Milestone(name="rest_intact", passed=not changed, evidence=altered_sentence(changed)),
        )
        return Verdict.of(milestones)


def _running(name: str, up: Collection[str], asked: Collection[str], *, least: int) -> Milestone:
    there = sorted(set(asked) & set(up))
    missing = ", ".join(sorted(set(asked) - set(up)))
    evidence = f"{len(there)} of {len(asked)} run" + (f"; not up: {missing}" if missing else "")
    return Milestone(name=name, passed=len(there) >= least, evidence=evidence)


async def _up(control: Control, cluster: Cluster) -> set[str]:
    """Return who listens on its own port, as the cluster's program that was started by its name."""
    ports = {said["port"]: name for name, said in cluster.members.items()}
    processes = {process.pid: process for process in await control.processes()}
    found = set()
    for listener in await control.listeners():
        name = ports.get(listener.port)
        for process in (processes[pid] for pid in listener.pids if pid in processes):
            if program_of(process) == CLUSTER / "member.py" and process.argv[-1] == name:
                found.add(name)
    return found


async def _answer(control: Control, cluster: Cluster, name: str, nonce: str) -> str | None:
    answer = await post(control, cluster.members[name]["port"], "/answer", {"nonce": nonce}, timeout_s=4.0)
    return None if answer is None else str(answer.get("seal", answer.get("error")))


async def _expected(control: Control, cluster: Cluster, nonce: str) -> Mapping[str, str]:
    """Return every member's seal, as it is when nothing is missing."""
    held = {name: await _held(control, cluster, said) for name, said in cluster.members.items()}
    seals: dict[str, str] = {}

    def seal(name: str) -> str:
        if name not in seals:
            parts = [seal(peer) for peer in cluster.peers(name)]
            seals[name] = answered(cluster.keys[name], nonce, held[name], parts)
        return seals[name]

    return {name: seal(name) for name in cluster.members}


async def _held(control: Control, cluster: Cluster, said: Mapping[str, Any]) -> list[str]:
    """Return what a member should have beside its key, by the files that members wrote when they started."""
    holds = []
    if "state" in said:
        nonce = (await _text(control, str(said["state"]))).partition(" ")[0]
        charter = answered(cluster.keys[said["charter"]], nonce, [], []) if "charter" in said else ""
        holds.append(f"{nonce} {charter}".strip())
    if "group" in said:
        holds.append(max(said["group"], key=lambda name: int(cluster.members[name]["weight"])))
    return holds + [await _text(control, str(said[field])) for field in ("leaves", "takes") if field in said]


async def _text(control: Control, name: str) -> str:
    return (await control.look(CLUSTER / name, limit=LONGEST_FILE) or b"").decode(errors="replace").strip()
