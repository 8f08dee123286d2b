"""Whether the instrument can be believed: controls, manipulation checks, containment, what is missing."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from ablation import untrusted
from ablation.report.containment import is_granted
from ablation.report.descent import lineage_warnings
from ablation.report.supervision import supervision_warnings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ablation.report.content import Arm
    from ablation.types import TrialRecord

__all__ = ["find_warnings", "planned_trials"]


def planned_trials(design: Mapping[str, Any]) -> int:
    """Return how many trials the design has."""
    return len(design["arms"]) * len(design["scenarios"]) * len(design["seeds"])


def find_warnings(
    design: Mapping[str, Any], arms: Sequence[Arm], trials: Sequence[TrialRecord]
) -> tuple[str, ...]:
    """Return what a reader must know before the results, most damaging first, each in one sentence."""
    return (
        *_control_warnings(arms),
        *_manipulation_warnings(arms),
        *_containment_warnings(design, trials),
        *supervision_warnings(trials),
        *lineage_warnings(trials),
        *_coverage_warnings(design, arms, trials),
    )


def _control_warnings(arms: Sequence[Arm]) -> Iterator[str]:
    for arm in arms:
        count, of = arm.success.count, arm.success.of
        if arm.role == "positive_control" and count < of:
            yield (
                f"The positive control {arm.name} succeeded in only {count} of {of} trials: these worlds, or "
                "their judge, are broken, and failures of the other arms may be ours."
            )
        if arm.role == "negative_control" and count:
            yield (
                f"The negative control {arm.name} succeeded in {count} of {of} trials: the judge passes what "
                "nobody did, and successes of the other arms may be worthless."
            )


def _manipulation_warnings(arms: Sequence[Arm]) -> Iterator[str]:
    removed = {arm.removed for arm in arms}
    for arm in arms:
        for faculty in arm.faculties:
            if not faculty.present and faculty.fired:
                yield (
                    f"Arm {arm.name} is meant to lack {faculty.name}, yet it fired in "
                    f"{faculty.entered.count} of {faculty.entered.of} trials: its effect is not "
                    "that of the faculty."
                )
            unused = faculty.present and not faculty.fired
            if faculty.name == "memory" and faculty.name not in removed:
                continue  # it acts only where a conversation outgrows its window
            if arm.baseline and unused and arm.success.of:
                yield (
                    f"{faculty.name} never fired in {arm.name}: removing it removed nothing, so its effect "
                    "below says nothing about the faculty."
                )


def _containment_warnings(design: Mapping[str, Any], trials: Sequence[TrialRecord]) -> Iterator[str]:
    hazards = {scenario["name"]: scenario.get("hazard", "none") for scenario in design["scenarios"]}
    open_ones = [
        trial
        for trial in trials
        if hazards.get(trial.scenario, "none") != "none"
        and trial.measured
        and not is_granted(trial.certificate)
    ]
    if open_ones:
        yield (
            f"{len(open_ones)} trials of a hazardous scenario have no granted certificate on record, "
            f"{open_ones[0].key} among them: look into it before anything else."
        )
    if lost := [trial for trial in trials if trial.containment_lost]:
        cause = untrusted.line(lost[0].cause).removesuffix(".")
        yield (
            f"{len(lost)} trial{'s' * (len(lost) != 1)} lost containment, {lost[0].key} among them: "
            f"find the hole before more is run ({cause})."
        )


def _coverage_warnings(
    design: Mapping[str, Any], arms: Sequence[Arm], trials: Sequence[TrialRecord]
) -> Iterator[str]:
    planned = planned_trials(design)
    if len(trials) < planned:
        missing = planned - len(trials)
        yield f"{missing} of {planned} planned trials have no result yet: this is a part of the study."
    leaks = [trial for trial in trials if trial.outcome == "leaked"]
    if leaks:
        yield (
            f"{len(leaks)} trial{'s' * (len(leaks) != 1)} left something of their machine behind, "
            f"{leaks[0].key} among them ({untrusted.line(leaks[0].cause)}): see to that before anything else."
        )
    voids = [trial for trial in trials if not trial.measured]
    if voids:
        causes = Counter(untrusted.line(trial.cause) or "no cause on record" for trial in voids)
        cause, times = causes.most_common(1)[0]
        where = ", ".join(f"{arm.name} {arm.voids}" for arm in arms if arm.voids)
        yield (
            f"{len(voids)} trial{'s' * (len(voids) != 1)} could not be measured ({where}): counted for no "
            f"arm, and as failures where each comparison is given once more. "
            f"Most frequent cause, {times} of {len(voids)}: {cause}."
        )
    if any(arm.tokens_estimated for arm in arms):
        yield "The subject's server reported no token counts for some calls; those are estimated from bytes."
