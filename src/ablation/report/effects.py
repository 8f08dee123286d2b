"""What each arm lost against the baseline, on the worlds both of them met."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ablation.report.content import Comparison, Effect
from ablation.statistics import PairedTable, holm, mcnemar, newcombe_paired

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ablation.report.content import Arm
    from ablation.types import TrialRecord

__all__ = ["compare", "measure_effects"]

_Worlds = dict[tuple[str, int], "TrialRecord"]


def measure_effects(arms: Sequence[Arm], trials: Sequence[TrialRecord]) -> tuple[Effect, ...]:
    """Compare every arm that is no control with the baseline; none without a baseline.

    Removed faculties come first and share one Holm adjustment; other arms follow, unadjusted.
    """
    baseline = next((arm for arm in arms if arm.baseline), None)
    if baseline is None:
        return ()
    worlds = {arm.name: {(t.scenario, t.seed): t for t in trials if t.arm == arm.name} for arm in arms}
    others = [arm for arm in arms if not arm.baseline and not arm.control]
    effects = [_effect(baseline, arm, worlds) for arm in sorted(others, key=lambda arm: arm.removed is None)]
    family = [effect for effect in effects if effect.removed is not None and effect.measured is not None]
    adjusted = holm([effect.measured.p for effect in family if effect.measured])
    by_arm = {effect.arm: p for effect, p in zip(family, adjusted, strict=True)}
    return tuple(replace(effect, adjusted_p=by_arm.get(effect.arm)) for effect in effects)


def _effect(baseline: Arm, arm: Arm, worlds: Mapping[str, _Worlds]) -> Effect:
    full, other = worlds[baseline.name], worlds[arm.name]
    met = [(full[world], other[world]) for world in full if world in other]
    measured = [pair for pair in met if all(trial.measured for trial in pair)]
    return Effect(
        arm=arm.name,
        baseline=baseline.name,
        removed=arm.removed,
        measured=_compared(measured),
        voids_failed=_compared(met),
        unpaired=len(full.keys() | other.keys()) - len(measured),
    )


def _compared(pairs: Sequence[tuple[TrialRecord, TrialRecord]]) -> Comparison | None:
    if not pairs:
        return None
    return compare(
        PairedTable.of([(one.outcome == "success", two.outcome == "success") for one, two in pairs])
    )


def compare(table: PairedTable) -> Comparison:
    """Compare two arms by their paired table, which holds at least one world."""
    return Comparison(
        table=table,
        difference=table.difference,
        interval=newcombe_paired(table),
        p=mcnemar(table),
    )
