"""Proofs that a scenario measures what it says, played on real machines.

The reference procedure must pass, doing nothing must fail, and so must every known cheat, each on every
seed. A scenario that does not hold up is not worth running an agent on.
"""

from __future__ import annotations

import asyncio
import os
from collections import defaultdict
from dataclasses import dataclass, replace
from time import monotonic
from typing import TYPE_CHECKING, Literal

from environments import ContainmentRefused, EnvironmentFault, Unavailable
from environments.containment import Examiner, require_closed
from scenarios.errors import ScenarioFault
from scenarios.layout import lay_out

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from environments import Environment, Lease, Provider
    from scenarios.protocols import Procedure
    from scenarios.types import Milestone, Scenario, Secret, Verdict

__all__ = ["CaseResult", "ValidationReport", "validate"]

NOTHING = "nothing"
REFERENCE = "reference"


@dataclass(frozen=True, kw_only=True)
class CaseResult:
    """One procedure played on one seed, and what the oracle said about it."""

    procedure: str
    seed: int
    expected: Literal["pass", "fail"]
    status: Literal["pass", "fail", "complied", "void"]
    reason: str = ""
    """The oracle's first missed milestone, or why there is no verdict."""
    milestones: tuple[Milestone, ...] = ()
    hurdles: tuple[str, ...] = ()
    seconds: float = 0.0
    """Preparation, procedure and judgement together."""
    judged_s: float = 0.0
    """The judgement alone."""

    @property
    def ok(self) -> bool:
        """The oracle said what it had to say."""
        return self.status == self.expected


@dataclass(frozen=True, kw_only=True)
class ValidationReport:
    """All cases of one scenario, by procedure and seed."""

    scenario: str
    cases: tuple[CaseResult, ...]
    seconds: float

    @property
    def ok(self) -> bool:
        """Every case came out as it had to, and there were cases."""
        return bool(self.cases) and all(case.ok for case in self.cases)

    def problems(self) -> tuple[str, ...]:
        """What is wrong, in a sentence for each procedure and kind of fault."""
        wrong: defaultdict[tuple[str, str], list[CaseResult]] = defaultdict(list)
        for case in self.cases:
            if not case.ok:
                wrong[case.procedure, case.status].append(case)
        return tuple(_sentence(cases) for cases in wrong.values()) or _unproven(self.cases)


def _unproven(cases: tuple[CaseResult, ...]) -> tuple[str, ...]:
    return () if cases else ("no case was run: give at least one seed",)


def _sentence(cases: list[CaseResult]) -> str:
    first = cases[0]
    seeds = f"seed{'s' * (len(cases) > 1)} {', '.join(str(case.seed) for case in cases)}"
    if first.status == "void":
        return f"{first.procedure} could not be judged on {seeds}: {first.reason}"
    if first.procedure == REFERENCE:
        hurdles = ", ".join(sorted({hurdle for case in cases for hurdle in case.hurdles})) or "none"
        return f"the reference fails on {seeds} (hurdles there: {hurdles}): {first.reason}"
    if first.procedure == NOTHING:
        return f"the oracle passes a world nobody touched, on {seeds}: success was there from the start"
    return f"the oracle is fooled by the cheat {first.procedure} on {seeds}: every milestone passes"


async def validate(
    scenario: Scenario[Secret],
    provider: Provider,
    *,
    seeds: Iterable[int] = range(10),
    concurrency: int | None = None,
    case_limit_s: float = 120.0,
    progress: Callable[[CaseResult, int, int], None] | None = None,
) -> ValidationReport:
    """Play reference, nothing and every cheat on every seed, each on a machine of its own.

    Args:
        scenario: any scenario, not only redline's own.
        provider: opens the machines.
        seeds: worlds to try.
        concurrency: machines open at once; twice the processors unless told.
        case_limit_s: a case that takes longer is void.
        progress: called after each case with its result, the cases done and all cases.

    Raises:
        ContainmentRefused: the scenario is hazardous and the machines are not closed enough.
        Unavailable: there are no such machines here.
    """
    began = monotonic()
    cases = [(name, procedure, seed) for seed in seeds for name, procedure in _procedures(scenario).items()]
    slots = asyncio.Semaphore(concurrency or 2 * (os.cpu_count() or 1))
    results: dict[tuple[str, int], CaseResult] = {}

    async def play(name: str, procedure: Procedure, seed: int) -> None:
        async with slots:
            result = await _case(scenario, provider, name, procedure, seed=seed, limit_s=case_limit_s)
        results[name, seed] = result
        if progress is not None:
            progress(result, len(results), len(cases))

    try:
        async with asyncio.TaskGroup() as group:
            for case in cases:
                group.create_task(play(*case))
    except ExceptionGroup as faults:
        # All cases share one provider, so the first reason stands for the others.
        raise faults.exceptions[0] from None
    return ValidationReport(
        scenario=scenario.name,
        cases=tuple(results[name, seed] for name, _, seed in cases),
        seconds=monotonic() - began,
    )


async def _nothing(_env: Environment, /) -> str:
    return "Done."


def _procedures(scenario: Scenario[Secret]) -> Mapping[str, Procedure]:
    return {REFERENCE: scenario.procedure, NOTHING: _nothing, **scenario.cheats}


async def _case(
    scenario: Scenario[Secret],
    provider: Provider,
    name: str,
    procedure: Procedure,
    *,
    seed: int,
    limit_s: float,
) -> CaseResult:
    began = monotonic()
    case = CaseResult(
        procedure=name, seed=seed, expected="pass" if name == REFERENCE else "fail", status="void"
    )
    try:
        async with (
            asyncio.timeout(limit_s),
            provider.open(label=f"{scenario.name}-{name}-{seed}", seed=seed) as lease,
        ):
            case = await _played(scenario, lease, procedure, case)
    except (ContainmentRefused, Unavailable):
        raise
    except (ScenarioFault, EnvironmentFault) as fault:
        case = replace(case, reason=f"{type(fault).__name__}: {fault}")
    except TimeoutError:
        case = replace(case, reason=f"the case took longer than {limit_s:g} s")
    return replace(case, seconds=monotonic() - began)


async def _played(
    scenario: Scenario[Secret], lease: Lease, procedure: Procedure, case: CaseResult
) -> CaseResult:
    if scenario.hazard != "none":
        require_closed(lease, scenario.name)
    examiner = Examiner(lease)
    world = await lay_out(scenario, lease.control, case.seed)
    submission = await examiner.watch(procedure(lease.agent))
    await lease.control.freeze()
    frozen = monotonic()
    verdict: Verdict = await scenario.oracle.judge(lease.control, world.secret, submission)
    judged_s = monotonic() - frozen
    await examiner.conclude()
    return replace(
        case,
        status=verdict.status,
        reason=verdict.reason,
        milestones=verdict.milestones,
        hurdles=world.hurdles,
        judged_s=judged_s,
    )
