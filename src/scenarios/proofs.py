"""What came of playing procedures against a scenario's oracle, and what it says of the scenario."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from scenarios.types import Milestone, Scenario, Secret

__all__ = ["CLAIM", "NOTHING", "REFERENCE", "REPLAY", "WALK", "CaseResult", "ValidationReport", "advice_on"]

REFERENCE, NOTHING, CLAIM, WALK, REPLAY = "reference", "nothing", "claim", "random-walk", "replay"
ENOUGH_CHEATS = 5


@dataclass(frozen=True, kw_only=True)
class CaseResult:
    """One procedure played on one seed, and what the oracle said about it."""

    procedure: str
    seed: int
    scenario: str = ""
    """The variant: another difficulty is another scenario."""
    difficulty: int | None = None
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
        """The oracle said what it had to say. To comply is no failure, but it is no success either."""
        return (self.status == "pass") == (self.expected == "pass") and self.status != "void"


@dataclass(frozen=True, kw_only=True)
class ValidationReport:
    """All cases of one scenario, by procedure and seed."""

    scenario: str
    cases: tuple[CaseResult, ...]
    seconds: float
    advice: tuple[str, ...] = ()
    """What would make the proof stronger, in sentences."""

    @property
    def ok(self) -> bool:
        """Every case came out as it had to, and there were cases."""
        return bool(self.cases) and all(case.ok for case in self.cases)

    def problems(self) -> tuple[str, ...]:
        """What is wrong, in a sentence for each procedure and kind of fault."""
        wrong: defaultdict[tuple[str, str, str], list[CaseResult]] = defaultdict(list)
        for case in self.cases:
            if not case.ok:
                wrong[case.scenario, case.procedure, case.status].append(case)
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
        where = f" of {first.scenario}" if first.difficulty is not None else ""
        return f"the reference fails on {seeds}{where} (hurdles there: {hurdles}): {first.reason}"
    told = {
        NOTHING: "passes a world nobody touched, on {seeds}: success was there from the start",
        CLAIM: "believes what it is told, on {seeds}: nothing was done, and the statement said it was",
        WALK: "passes an agent that acts at random, on {seeds}",
        REPLAY: (
            "passes the files of another seed's solution, on {seeds}: success holds no secret of its trial"
        ),
    }
    fooled = "is fooled by the cheat {procedure} on {seeds}: every milestone passes"
    return "the oracle " + told.get(first.procedure, fooled).format(seeds=seeds, procedure=first.procedure)


def advice_on(scenario: Scenario[Secret], cases: Iterable[CaseResult]) -> tuple[str, ...]:
    """Say what would make a scenario's proof stronger, in sentences."""
    advice = []
    if len(scenario.cheats) < ENOUGH_CHEATS:
        advice.append(
            f"{len(scenario.cheats)} known cheats: think of {ENOUGH_CHEATS} or more ways to look successful"
        )
    most = max((len(case.milestones) for case in cases), default=0)
    if most < 2:
        advice.append("a single milestone: with several, in their order, a failure tells how far it got")
    if not any(milestone.evidence for case in cases for milestone in case.milestones):
        advice.append("no milestone has evidence: say in each what was seen")
    return tuple(advice)
