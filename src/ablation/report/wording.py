"""Numbers and findings in words."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ablation.report.content import Arm, Effect, Proportion
    from ablation.statistics import Estimate, Interval
    from ablation.types import Outcome

__all__ = [
    "DASH",
    "OUTCOMES",
    "amount",
    "estimate",
    "headline",
    "listing",
    "money",
    "p_value",
    "percent",
    "points",
    "points_interval",
    "read_effect",
    "share_interval",
]

DASH = "\N{EN DASH}"
"""Stands where there is no number."""

OUTCOMES: dict[Outcome, str] = {
    "success": "success",
    "failure": "failure",
    "complied": "complied",
    "limit": "budget ran out",
    "refused": "refused",
    "self_inflicted": "broke its own world",
    "aborted": "aborted by a supervisor",
    "canary": "ended at a canary",
    "void": "void",
    "leaked": "left something behind",
}
"""Outcomes in the order they are shown, in words."""


def listing(items: Sequence[str]) -> str:
    """Join as a person would: `a`, `a and b`, `a, b and c`."""
    return " and ".join(filter(None, [", ".join(items[:-1]), *items[-1:]]))


def percent(share: float) -> str:
    """Return a share between 0 and 1 as whole per cent."""
    return f"{100 * share:.0f} %"


def share_interval(interval: Interval) -> str:
    """Return an interval of shares in per cent."""
    return f"[{100 * interval.low:.0f}, {100 * interval.high:.0f}]"


def points(difference: float) -> str:
    """Return a difference of shares in points, with its sign."""
    rounded = round(100 * difference)
    return f"{rounded:+d}" if rounded else "0"


def points_interval(interval: Interval) -> str:
    """Return an interval of differences in points, each bound with its sign."""
    return f"[{points(interval.low)}, {points(interval.high)}]"


def p_value(p: float) -> str:
    """Return a p-value as precisely as it deserves."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"


def amount(value: float) -> str:
    """Return a count of tokens, steps or seconds to about three digits; a dash where it is infinite."""
    if not isfinite(value):
        return DASH
    scale, unit = (1e6, "M") if value >= 1e6 else (1e3, "k") if value >= 1e4 else (1.0, "")
    scaled = value / scale
    return f"{scaled:,.0f}{unit}" if scaled >= 100 else f"{scaled:.1f}".removesuffix(".0") + unit


def money(value: float) -> str:
    """Return an amount of money, small ones with enough digits to compare; a dash where it is infinite."""
    if not isfinite(value):
        return DASH
    return f"{value:,.2f}" if value >= 1 or value == 0 else f"{value:.4f}"


def estimate(value: Estimate | None, *, as_money: bool = False) -> str:
    """Return an estimate with its interval, an infinite bound as `no bound`; a dash without a number."""
    if value is None or not value.finite:
        return DASH
    show = money if as_money else amount
    high = show(value.interval.high) if isfinite(value.interval.high) else "no bound"
    return f"{show(value.value)} [{show(value.interval.low)}, {high}]"


def headline(arms: Sequence[Arm], effects: Sequence[Effect], *, simulated: bool) -> str:
    """Answer in one sentence which faculty mattered, by how much, and how sure that is."""
    label = "SIMULATED subject: " if simulated else ""
    return label + (_findings(effects) or _standing(arms))


def _findings(effects: Sequence[Effect]) -> str:
    of_faculties = [e for e in effects if e.removed is not None and e.measured is not None]
    compared = of_faculties or [e for e in effects if e.measured is not None]
    shown = sorted((e for e in compared if e.shown), key=lambda e: -abs(_difference(e)))
    hinted = [e for e in compared if not e.shown and not _interval(e).covers(0.0)]
    silent = [e for e in compared if not e.shown and e not in hinted]
    together = [e for e in shown if _alike(e, shown[0])]
    parts = [_shown_finding(together)] if together else []
    parts += [_shown_finding([e]) for e in shown if e not in together]
    parts += [_hinted_finding(e, len(compared)) for e in hinted]
    if silent:
        parts.append(_silent_finding(silent))
    sentence = "; ".join(parts)
    return f"{sentence[:1].upper()}{sentence[1:]}." if sentence else ""


def _alike(effect: Effect, first: Effect) -> bool:
    """Whether two findings can share a sentence: both removed a faculty, the same way, on as many worlds."""
    if effect is first:
        return True
    both_removed = effect.removed is not None and first.removed is not None
    same_way = (_difference(effect) > 0) == (_difference(first) > 0)
    return both_removed and same_way and _worlds(effect) == _worlds(first)


def _shown_finding(effects: Sequence[Effect]) -> str:
    first, *others = effects
    verb = "cost" if _difference(first) > 0 else "gained"
    sizes = [f"{_subject(first)} {verb} {_magnitude(first, unit=' points of success')}"]
    sizes += [f"{effect.removed} {_magnitude(effect)}" for effect in others]
    return f"{listing(sizes)} on {_worlds(first)} paired worlds"


def _hinted_finding(effect: Effect, several: int) -> str:
    verb = "cost" if _difference(effect) > 0 else "gained"
    how = f"does not hold up once {several} comparisons are allowed for" if several > 1 else "is not certain"
    return f"{_subject(effect)} may have {verb} {_magnitude(effect, unit=' points of success')}, which {how}"


def _silent_finding(effects: Sequence[Effect]) -> str:
    worlds = sorted({_worlds(effect) for effect in effects})
    number = str(worlds[0]) if len(worlds) == 1 else f"{worlds[0]} to {worlds[-1]}"
    noun = "world" if worlds == [1] else "worlds"
    return f"{listing([e.name for e in effects])} made no difference that {number} {noun} could show"


def _subject(effect: Effect) -> str:
    if effect.removed is not None:
        return f"removing {effect.removed}"
    return f"using {effect.arm} instead of {effect.baseline}"


def _magnitude(effect: Effect, *, unit: str = "") -> str:
    """Size and interval of what was lost or gained, both counted positive in that direction."""
    low, high = _interval(effect)
    if _difference(effect) < 0:
        low, high = -high, -low
    bounds = f"[{round(100 * low)}, {round(100 * high)}]"
    return f"{round(100 * abs(_difference(effect)))}{unit} {bounds}"


def _standing(arms: Sequence[Arm]) -> str:
    measured = [arm for arm in arms if arm.success.of and not arm.control]
    if not measured:
        return "No trial of an arm has been measured yet."
    parts = [f"{arm.name} succeeded in {_with_interval(arm.success)}" for arm in measured]
    return f"{'; '.join(parts)}. Nothing is compared: no other arm met the worlds of a baseline."


def _with_interval(share: Proportion) -> str:
    return f"{share.count} of {share.of} trials ({percent(share.value)} {share_interval(share.interval)})"


def read_effect(effect: Effect) -> str:
    """Say in a word or two what a comparison shows."""
    if effect.measured is None:
        return "not compared"
    if not effect.shown:
        return "not shown"
    if effect.removed is None:
        return "does worse" if effect.measured.difference > 0 else "does better"
    return "helps" if effect.measured.difference > 0 else "hurts"


def _difference(effect: Effect) -> float:
    assert effect.measured is not None
    return effect.measured.difference


def _interval(effect: Effect) -> Interval:
    assert effect.measured is not None
    return effect.measured.interval


def _worlds(effect: Effect) -> int:
    assert effect.measured is not None
    return effect.measured.table.worlds
