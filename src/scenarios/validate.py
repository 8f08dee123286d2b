"""Proofs that a scenario measures what it says, played on real machines.

The reference procedure must pass on every seed and at every difficulty. Doing nothing must not, and neither
must saying that it is done, acting at random, bringing another seed's solution, nor any known cheat. A
scenario that does not hold up is not worth running an agent on.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import TYPE_CHECKING, Any

from environments import ContainmentRefused, EnvironmentFault, Unavailable, agent_on
from environments.containment import Examiner, require_closed
from scenarios.adversaries import Claim, Deposit, RandomWalk, Replay, nothing
from scenarios.errors import ScenarioFault
from scenarios.layout import lay_out
from scenarios.proofs import CLAIM, NOTHING, REFERENCE, REPLAY, WALK, CaseResult, ValidationReport, advice_on
from scenarios.succession import through_generations

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from environments import Lease, Provider
    from scenarios.protocols import Procedure
    from scenarios.types import Scenario, Secret

__all__ = ["CaseResult", "ValidationReport", "validate"]


async def validate(
    scenario: Scenario[Secret],
    provider: Provider,
    *,
    seeds: Iterable[int] = range(10),
    concurrency: int | None = None,
    case_limit_s: float = 120.0,
    progress: Callable[[CaseResult, int, int], None] | None = None,
) -> ValidationReport:
    """Play every procedure on every seed, the reference also at every difficulty, each on its own machine.

    Args:
        scenario: any scenario, not only redline's own.
        provider: opens the machines.
        seeds: worlds to try.
        concurrency: machines open at once; four a processor unless told: they wait more than they compute.
        case_limit_s: a case that takes longer is void.
        progress: called after each case with its result, the cases done and all cases.

    Raises:
        ContainmentRefused: the scenario is hazardous and the machines are not closed enough.
        Unavailable: there are no such machines here.
    """
    began = monotonic()
    plan = _plan(scenario, tuple(seeds))
    slots = asyncio.Semaphore(concurrency or 4 * (os.cpu_count() or 1))
    results: dict[_Case, CaseResult] = {}

    async def play(case: _Case) -> None:
        if case.after is not None:
            await case.after.wait()
        async with slots:
            results[case] = await _result(case, provider, limit_s=case_limit_s)
        case.done.set()
        if progress is not None:
            progress(results[case], len(results), len(plan))

    try:
        async with asyncio.TaskGroup() as group:
            for case in plan:
                group.create_task(play(case))
    except ExceptionGroup as faults:
        # All cases share one provider, so the first reason stands for the others.
        raise faults.exceptions[0] from None
    cases = tuple(results[case] for case in plan)
    return ValidationReport(
        scenario=scenario.name,
        cases=cases,
        seconds=monotonic() - began,
        advice=advice_on(scenario, cases),
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Case:
    """A procedure to be played on a seed."""

    scenario: Scenario[Any]
    name: str
    procedure: Procedure
    seed: int
    deposit: Deposit | None = None
    """Keeps what the reference made, for another seed's replay."""
    after: asyncio.Event | None = None
    done: asyncio.Event = field(default_factory=asyncio.Event)


def _plan(scenario: Scenario[Secret], seeds: tuple[int, ...]) -> list[_Case]:
    """Return every case; the reference's come first, as replays wait for them."""
    solved = [
        _Case(scenario=scenario, name=REFERENCE, procedure=scenario.procedure, seed=seed, deposit=Deposit())
        for seed in seeds
    ]
    graded = [
        _Case(scenario=scenario.at(difficulty), name=REFERENCE, procedure=scenario.procedure, seed=seed)
        for difficulty in scenario.difficulties
        if difficulty != scenario.difficulty
        for seed in seeds
    ]
    others: list[_Case] = []
    for index, seed in enumerate(seeds):
        procedures: dict[str, Procedure] = {
            NOTHING: nothing,
            CLAIM: Claim(instruction=scenario.instruction),
            WALK: RandomWalk(seed=seed),
            **scenario.cheats,
        }
        others += [
            _Case(scenario=scenario, name=name, procedure=each, seed=seed)
            for name, each in procedures.items()
        ]
        if len(seeds) > 1:
            source = solved[index - 1]
            assert source.deposit is not None
            replay = Replay(files=source.deposit.files)
            others.append(
                _Case(scenario=scenario, name=REPLAY, procedure=replay, seed=seed, after=source.done)
            )
    return [*solved, *graded, *others]


async def _result(case: _Case, provider: Provider, *, limit_s: float) -> CaseResult:
    began = monotonic()
    result = CaseResult(
        procedure=case.name,
        seed=case.seed,
        scenario=case.scenario.name,
        difficulty=case.scenario.difficulty,
        expected="pass" if case.name == REFERENCE else "fail",
        status="void",
    )
    try:
        async with (
            asyncio.timeout(limit_s),
            provider.open(label=f"{case.scenario.name}-{case.name}-{case.seed}", seed=case.seed) as lease,
        ):
            result = await _played(case, lease, result)
    except (ContainmentRefused, Unavailable):
        raise
    except (ScenarioFault, EnvironmentFault) as fault:
        result = replace(result, reason=f"{type(fault).__name__}: {fault}")
    except TimeoutError:
        result = replace(result, reason=f"the case took longer than {limit_s:g} s")
    return replace(result, seconds=monotonic() - began)


async def _played(case: _Case, lease: Lease, result: CaseResult) -> CaseResult:
    scenario, control = case.scenario, lease.control
    examiner = None
    if scenario.hazard != "none":
        require_closed(lease, scenario.name)
        examiner = Examiner(lease)
    world = await lay_out(scenario, control, case.seed)
    if case.deposit is not None:
        await case.deposit.begin(control)

    async def play(_instruction: str, _generation: int, host: str) -> str:
        acting = case.procedure(agent_on(lease, host))
        return await (acting if examiner is None else examiner.watch(acting))

    secret, submission = await through_generations(scenario, control, world.secret, play)
    await control.freeze()
    if case.deposit is not None:
        await case.deposit.collect(control)
    frozen = monotonic()
    faced = await world.faced(control)
    verdict = world.weighed(await scenario.oracle.judge(control, secret, submission), faced)
    judged_s = monotonic() - frozen
    if examiner is not None:
        await examiner.conclude()
    return replace(
        result,
        status=verdict.status,
        reason=verdict.reason,
        milestones=verdict.milestones,
        hurdles=world.hurdles,
        judged_s=judged_s,
    )
