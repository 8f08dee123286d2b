"""The report's pictures. Colours are those of Okabe and Ito, told apart by the colour-blind."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from matplotlib.ticker import EngFormatter, FuncFormatter, MultipleLocator

from ablation import untrusted
from ablation.report import wording
from ablation.report.canvas import ACCENT, INK, MUTED, PAPER, RULE, Plot, canvas, label_rows
from ablation.report.dose_plot import draw_doses
from ablation.report.doses import responses

if TYPE_CHECKING:
    from collections.abc import Iterable

    from matplotlib.axes import Axes

    from ablation.report.content import Arm, Effect, Report
    from ablation.types import Outcome

__all__ = ["Plot", "draw_plots"]

_BLUE, _ORANGE, _GREEN, _YELLOW = "#0072b2", "#e69f00", "#009e73", "#f0e442"
_SKY, _VERMILION, _PURPLE, _GREY = "#56b4e9", "#d55e00", "#cc79a7", "#999999"
_BLACK, _TEAL = "#222222", "#66a5ad"

_OUTCOME_COLOURS: dict[Outcome, str] = {
    "success": _GREEN,
    "failure": _VERMILION,
    "complied": _TEAL,
    "limit": _ORANGE,
    "refused": _PURPLE,
    "self_inflicted": _SKY,
    "aborted": _BLUE,
    "canary": _YELLOW,
    "void": _GREY,
    "leaked": _BLACK,
}
_FACULTY_COLOURS = {"explore": _SKY, "plan": _ORANGE, "execute": _BLUE, "repair": _PURPLE, "memory": _GREEN}

_WIDE, _HALF = 1000, 490
_UPRIGHT = 9
"""Milestones whose names find room side by side."""


def draw_plots(report: Report) -> tuple[Plot, ...]:
    """Draw every picture the report has data for."""
    measured = [arm for arm in report.arms if arm.success.of]
    acting = [arm for arm in measured if _tokens(arm)]
    compared = [effect for effect in report.effects if effect.measured]
    label = report.label
    drawn = [
        _forest(compared, label) if compared else None,
        _success(measured, label) if measured else None,
        _outcomes([arm for arm in report.arms if sum(arm.outcomes.values())], label),
        _cost(acting, label) if acting else None,
        _budget([arm for arm in acting if arm.faculties], label),
        _milestones(measured, label),
        draw_doses(list(responses(report)), label),
    ]
    return tuple(plot for plot in drawn if plot)


def _forest(effects: list[Effect], label: str) -> Plot:
    with canvas("forest", width=_WIDE, height=96 + 46 * len(effects), label=label) as drawing:
        axes = drawing.axes
        comparisons = [(effect, effect.measured) for effect in effects if effect.measured]
        axes.axvline(0, color=MUTED, linewidth=1.25)
        for row, (effect, measured) in enumerate(comparisons):
            colour = ACCENT if effect.shown else MUTED
            low, high = (100 * bound for bound in measured.interval)
            _interval(axes, (low, high), row, colour, 2.5)
            axes.plot(100 * measured.difference, row, "o", color=colour, markersize=10)
            axes.annotate(
                f"{wording.points(measured.difference)} {wording.points_interval(measured.interval)} \u00b7 "
                f"p {wording.p_value(effect.p or 0)}",
                (1, row),
                xycoords=("axes fraction", "data"),
                xytext=(12, 0),
                textcoords="offset points",
                va="center",
                fontsize=12,
                color=INK if effect.shown else MUTED,
                annotation_clip=False,
            )
        label_rows(axes, [_effect_name(effect) for effect in effects])
        bounds = [bound for _, measured in comparisons for bound in measured.interval]
        axes.set_xlim(min(-12, 100 * min(bounds) - 4), max(12, 100 * max(bounds) + 4))
        axes.xaxis.set_major_locator(MultipleLocator(20))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:+.0f}" if value else "0"))
        axes.grid(visible=True, axis="x")
        axes.set_xlabel("points of success lost without it")
    return Plot(
        name="forest",
        title="What each faculty is worth",
        note=(
            "The same worlds with and without the faculty, with Newcombe's paired 95 % interval. "
            "Right of zero: it helped. Blue: shown at the 5 % level after adjustment. Grey: not shown."
        ),
        svg=drawing.svg,
        wide=True,
    )


def _effect_name(effect: Effect) -> str:
    return effect.removed or f"{effect.arm} instead of {effect.baseline}"


def _interval(axes: Axes, bounds: tuple[float, float], row: float, colour: str, width: float) -> None:
    axes.plot(bounds, (row, row), color=colour, linewidth=width, solid_capstyle="round")


def _success(arms: list[Arm], label: str) -> Plot:
    with canvas("success", width=_HALF, height=110 + 34 * len(arms), label=label) as drawing:
        axes = drawing.axes
        for row, arm in enumerate(arms):
            colour = MUTED if arm.control else _GREEN
            low, high = arm.success.interval
            _interval(axes, (100 * low, 100 * high), row, colour, 2.25)
            axes.plot(
                100 * arm.success.value,
                row,
                "D" if arm.control else "o",
                color=colour,
                markerfacecolor=PAPER if arm.control else colour,
                markersize=7 if arm.control else 9,
                markeredgewidth=1.75,
                clip_on=False,
            )
            axes.annotate(
                f"{arm.success.count}/{arm.success.of}",
                (1, row),
                xycoords=("axes fraction", "data"),
                xytext=(14, 0),
                textcoords="offset points",
                va="center",
                fontsize=11,
                color=MUTED,
                annotation_clip=False,
            )
        label_rows(axes, [arm.name for arm in arms])
        _percent_axis(axes, "trials that succeeded, %")
    return Plot(
        name="success",
        title="Success by arm",
        note="Wilson's 95 % intervals. Diamonds: the controls, which must sit at 100 and at 0.",
        svg=drawing.svg,
    )


def _percent_axis(axes: Axes, label: str) -> None:
    axes.set_xlim(-1, 101)
    axes.set_xticks(range(0, 101, 25))
    axes.grid(visible=True, axis="x")
    axes.set_xlabel(label)


def _outcomes(arms: list[Arm], label: str) -> Plot | None:
    kinds = [kind for kind in wording.OUTCOMES if any(arm.outcomes[kind] for arm in arms)]
    if not kinds:
        return None
    with canvas("outcomes", width=_HALF, height=110 + 34 * len(arms), label=label) as drawing:
        axes = drawing.axes
        starts = [0.0] * len(arms)
        for kind in kinds:
            shares = [100 * arm.outcomes[kind] / sum(arm.outcomes.values()) for arm in arms]
            axes.barh(
                range(len(arms)),
                shares,
                left=starts,
                height=0.62,
                color=_OUTCOME_COLOURS[kind],
                edgecolor=PAPER,
                linewidth=1.5,
                label=wording.OUTCOMES[kind],
            )
            starts = [start + share for start, share in zip(starts, shares, strict=True)]
        label_rows(axes, [arm.name for arm in arms])
        _percent_axis(axes, "all trials, %")
        _legend(axes, len(kinds))
    return Plot(
        name="outcomes",
        title="How trials ended",
        note="Every trial of the arm, the ones that could not be measured included.",
        svg=drawing.svg,
    )


def _legend(axes: Axes, entries: int) -> None:
    axes.legend(
        loc="upper left",
        bbox_to_anchor=(-0.02, -0.2),
        ncols=entries if entries < 5 else 3,
        columnspacing=1.6,
        handletextpad=0.6,
    )


def _cost(arms: list[Arm], label: str) -> Plot:
    with canvas("cost", width=_HALF, height=360, label=label) as drawing:
        axes = drawing.axes
        # Of arms with one success rate the dearest is named first: no line to a name crosses a point.
        dearest_first = sorted(arms, key=_tokens, reverse=True)
        heights = _spread([100 * arm.success.value for arm in dearest_first], gap=7.5)
        for arm, height in zip(dearest_first, heights, strict=True):
            assert arm.tokens is not None
            x, y = arm.tokens.value, 100 * arm.success.value
            colour = _GREEN if arm.baseline else ACCENT
            low, high = arm.success.interval
            axes.plot((x, x), (100 * low, 100 * high), color=colour, linewidth=1.5, alpha=0.55)
            _interval(axes, arm.tokens.interval, y, colour, 1.5)
            axes.plot(x, y, "o", color=colour, markersize=9)
            axes.annotate(
                untrusted.line(arm.name, limit=24),
                (x, y),
                xytext=(1.03, height),
                textcoords=("axes fraction", "data"),
                va="center",
                fontsize=11.5,
                annotation_clip=False,
                arrowprops={"arrowstyle": "-", "color": MUTED, "linewidth": 0.6, "shrinkA": 1, "shrinkB": 6},
            )
        axes.set_ylim(-3, 103)
        axes.set_yticks(range(0, 101, 25))
        axes.set_xlim(0, 1.06 * max(arm.tokens.interval.high for arm in arms if arm.tokens))
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
        axes.grid(visible=True)
        axes.set_xlabel("tokens a trial")
        axes.set_ylabel("trials that succeeded, %")
    return Plot(
        name="cost",
        title="Success against cost",
        note="Up and to the left is better. Bars: 95 % intervals, Wilson's up and down, bootstrap sideways.",
        svg=drawing.svg,
    )


def _spread(places: list[float], *, gap: float) -> list[float]:
    """Move places apart until neighbours are `gap` from each other, the highest first downwards."""
    moved = list(places)
    ceiling = inf
    for index in sorted(range(len(places)), key=places.__getitem__, reverse=True):
        moved[index] = min(places[index], ceiling)
        ceiling = moved[index] - gap
    # What was pushed below the axis goes up again, and the ones above make room.
    floor = 0.0
    for index in sorted(range(len(places)), key=moved.__getitem__):
        moved[index] = max(moved[index], floor)
        floor = moved[index] + gap
    return moved


def _budget(arms: list[Arm], label: str) -> Plot | None:
    if not arms:
        return None
    names = list(dict.fromkeys(share.name for arm in arms for share in arm.faculties))
    with canvas("budget", width=_HALF, height=360, label=label) as drawing:
        axes = drawing.axes
        starts = [0.0] * len(arms)
        for name, colour in zip(names, _faculty_colours(names), strict=True):
            parts = [_tokens_of(arm, name) for arm in arms]
            axes.barh(
                range(len(arms)),
                parts,
                left=starts,
                height=0.62,
                color=colour,
                edgecolor=PAPER,
                linewidth=1.5,
                label=untrusted.line(name, limit=20),
            )
            starts = [start + part for start, part in zip(starts, parts, strict=True)]
        label_rows(axes, [arm.name for arm in arms])
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
        axes.grid(visible=True, axis="x")
        axes.set_xlabel("tokens a trial")
        _legend(axes, len(names))
    return Plot(
        name="budget",
        title="Who ate the budget",
        note="Mean tokens a trial by faculty: the manipulation check. A faculty that was removed has no bar.",
        svg=drawing.svg,
    )


def _tokens(arm: Arm) -> float:
    return arm.tokens.value if arm.tokens else 0.0


def _tokens_of(arm: Arm, faculty: str) -> float:
    return _tokens(arm) * next((share.tokens for share in arm.faculties if share.name == faculty), 0.0)


def _faculty_colours(names: list[str]) -> Iterable[str]:
    spare = iter([_VERMILION, _YELLOW] * len(names))
    return [_FACULTY_COLOURS.get(name) or next(spare) for name in names]


def _milestones(arms: list[Arm], label: str) -> Plot | None:
    names = list(dict.fromkeys(m.name for arm in arms for m in arm.milestones))
    if not names:
        return None
    slanted = len(names) > _UPRIGHT
    height = 84 + 36 * len(arms) + (70 if slanted else 0)
    with canvas("milestones", width=_WIDE, height=height, label=label) as drawing:
        axes = drawing.axes
        for row, arm in enumerate(arms):
            for share in arm.milestones:
                _cell(axes, names.index(share.name), row, share.passed.value)
        label_rows(axes, [arm.name for arm in arms])
        axes.set_xlim(-0.5, len(names) - 0.5)
        axes.set_xticks(range(len(names)), [untrusted.line(name, limit=30) for name in names])
        if slanted:
            axes.tick_params(axis="x", rotation=35)
            for text in axes.get_xticklabels():
                text.set_horizontalalignment("right")
        axes.spines["bottom"].set_visible(False)
    return Plot(
        name="milestones",
        title="How far they got",
        note="Share of measured trials that passed each milestone, as the oracle decided it.",
        svg=drawing.svg,
        wide=True,
    )


def _cell(axes: Axes, column: int, row: int, share: float) -> None:
    axes.barh(row, 0.96, left=column - 0.48, height=0.88, color=RULE, alpha=0.45)
    axes.barh(row, 0.96, left=column - 0.48, height=0.88, color=_BLUE, alpha=share)
    axes.text(
        column,
        row,
        wording.percent(share),
        ha="center",
        va="center",
        fontsize=12,
        color="#ffffff" if share > 0.6 else INK,
    )
