"""The trials of an arm, summed up."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, get_args

from ablation.report.content import Arm, FacultyShare, HurdleContrast, MilestoneShare, Proportion
from ablation.statistics import per_success, per_trial
from ablation.types import Outcome, Spend

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ablation.types import TrialRecord

__all__ = ["contrast_hurdles", "summarise_arm"]


def summarise_arm(design: Mapping[str, Any], trials: Sequence[TrialRecord]) -> Arm:
    """Sum up an arm's trials.

    Args:
        design: the arm as the frozen design has it.
        trials: all trials of this arm, voids included.
    """
    measured = [trial for trial in trials if trial.measured]
    successes = [trial.outcome == "success" for trial in measured]
    tokens = [float(trial.tokens) for trial in measured]
    known = [trial.cost for trial in measured if trial.cost is not None]
    costs = known if len(known) == len(measured) else []
    outcomes = Counter(trial.outcome for trial in trials)
    return Arm(
        name=design["name"],
        role=design.get("role", "arm"),
        baseline=bool(design.get("baseline")),
        removed=design.get("removed"),
        description=design.get("description", ""),
        success=Proportion(count=sum(successes), of=len(measured)),
        voids=len(trials) - len(measured),
        attempts=sum(trial.attempt for trial in trials),
        outcomes={outcome: outcomes[outcome] for outcome in get_args(Outcome)},
        limits=Counter(trial.limit for trial in measured if trial.outcome == "limit" and trial.limit),
        milestones=_milestones(measured),
        faculties=_faculties(design, measured),
        steps=per_trial([float(trial.steps) for trial in measured]),
        seconds=per_trial([trial.seconds for trial in measured]),
        tokens=per_trial(tokens),
        tokens_per_success=per_success(tokens, successes),
        cost=per_trial(costs),
        cost_per_success=per_success(costs, successes),
        prompt_tokens=per_trial([float(trial.prompt_tokens) for trial in measured]),
        cached_tokens=per_trial([float(trial.cached_tokens) for trial in measured]),
        completion_tokens=per_trial([float(trial.completion_tokens) for trial in measured]),
        tokens_estimated=any(trial.tokens_estimated for trial in measured),
    )


def _milestones(trials: Sequence[TrialRecord]) -> tuple[MilestoneShare, ...]:
    """Count over all measured trials: one that ended before the oracle looked reached none."""
    passed = Counter(m.name for trial in trials for m in trial.milestones if m.passed)
    names = _in_order(m.name for trial in trials for m in trial.milestones)
    return tuple(
        MilestoneShare(name=name, passed=Proportion(count=passed[name], of=_asked(trials, name)))
        for name in names
    )


def _asked(trials: Sequence[TrialRecord], milestone: str) -> int:
    """Count the trials of the scenarios that have this milestone."""
    scenarios = {trial.scenario for trial in trials if any(m.name == milestone for m in trial.milestones)}
    return sum(trial.scenario in scenarios for trial in trials)


def _faculties(design: Mapping[str, Any], trials: Sequence[TrialRecord]) -> tuple[FacultyShare, ...]:
    declared: Mapping[str, Any] = design.get("faculties") or {}
    total = sum(use.tokens for trial in trials for use in trial.faculties.values())
    shares = []
    for name in _in_order([*declared, *(used for trial in trials for used in trial.faculties)]):
        uses = [trial.faculties.get(name, Spend()) for trial in trials]
        shares.append(
            FacultyShare(
                name=name,
                present=declared.get(name) is not None if name in declared else name != design.get("removed"),
                entered=Proportion(count=sum(use.entered > 0 for use in uses), of=len(uses)),
                turns=sum(use.turns for use in uses) / max(1, len(uses)),
                tool_calls=sum(use.tool_calls for use in uses) / max(1, len(uses)),
                tokens=sum(use.tokens for use in uses) / total if total else 0.0,
            )
        )
    return tuple(shares)


def contrast_hurdles(arms: Sequence[Arm], trials: Sequence[TrialRecord]) -> tuple[HurdleContrast, ...]:
    """Compare, for each arm that is no control, worlds with a hurdle to worlds of the same scenarios without.

    A hurdle that stands in every world, or in none, has nothing to be compared with and is left out.
    """
    measured = [trial for trial in trials if trial.measured]
    contrasts = []
    for hurdle in _in_order(hurdle for trial in measured for hurdle in trial.obstacles):
        scenarios = {trial.scenario for trial in measured if hurdle in trial.obstacles}
        for arm in arms:
            own = [trial for trial in measured if trial.arm == arm.name and trial.scenario in scenarios]
            present = [trial for trial in own if hurdle in trial.obstacles]
            absent = [trial for trial in own if hurdle not in trial.obstacles]
            if present and absent and not arm.control:
                contrasts.append(
                    HurdleContrast(
                        hurdle=hurdle, arm=arm.name, present=_success(present), absent=_success(absent)
                    )
                )
    return tuple(contrasts)


def _success(trials: Sequence[TrialRecord]) -> Proportion:
    return Proportion(count=sum(trial.outcome == "success" for trial in trials), of=len(trials))


def _in_order(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))
