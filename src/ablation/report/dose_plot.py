"""A picture of what more of a hurdle does to success, arm by arm."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ablation import untrusted
from ablation.report.canvas import RULE, Plot, canvas

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from ablation.report.doses import Response

__all__ = ["draw_doses"]

_COLOURS = ("#009e73", "#0072b2", "#d55e00", "#cc79a7", "#e69f00", "#56b4e9")
_GAP = 1.2
"""Between the doses of one hurdle and those of the next, in doses."""


def draw_doses(responses: Sequence[Response], label: str) -> Plot | None:
    """Draw success over dose for each hurdle that stood at two doses or more; None where none did."""
    doses: dict[str, list[int]] = {}
    for each in responses:
        doses.setdefault(each.hurdle, []).append(each.dose)
    hurdles = {name: sorted(set(found)) for name, found in doses.items() if len(set(found)) > 1}
    if not hurdles:
        return None
    arms = list(dict.fromkeys(each.arm for each in responses))
    with canvas("doses", width=1000, height=400, label=label) as drawing:
        axes, start = drawing.axes, 0.0
        ticks: list[tuple[float, str]] = []
        for place, (hurdle, there) in enumerate(hurdles.items()):
            for index, arm in enumerate(arms):
                line = [each for each in responses if (each.hurdle, each.arm) == (hurdle, arm)]
                _draw_line(
                    axes, line, start + 0.06 * (index - len(arms) / 2), _COLOURS[index % len(_COLOURS)]
                )
            # Neighbours' names stand on lines of their own, so that long ones do not meet.
            name = "\n" * (place % 2) + untrusted.line(hurdle, limit=24)
            ticks += [(start + dose, f"{dose}\n{name}" if dose == there[0] else str(dose)) for dose in there]
            start += there[-1] + _GAP
            axes.axvline(start - _GAP / 2, color=RULE, linewidth=0.75)
        axes.set_xticks([place for place, _ in ticks], [name for _, name in ticks], ha="left")
        axes.set_ylim(-3, 103)
        axes.set_yticks(range(0, 101, 25))
        axes.grid(visible=True, axis="y")
        axes.set_ylabel("trials that succeeded, %")
        handles, labels = axes.get_legend_handles_labels()
        once = dict(zip(labels, handles, strict=True))
        axes.legend(once.values(), once.keys(), loc="upper left", bbox_to_anchor=(0, 1.14), ncols=len(once))
    return Plot(
        name="doses",
        title="More of a hurdle",
        note="Success by hurdle and dose, with Wilson's 95 % intervals. Dose 0: nothing in the way.",
        svg=drawing.svg,
        wide=True,
    )


def _draw_line(axes: Axes, line: Sequence[Response], start: float, colour: str) -> None:
    places = [start + each.dose for each in line]
    for place, each in zip(places, line, strict=True):
        low, high = each.success.interval
        axes.plot((place, place), (100 * low, 100 * high), color=colour, linewidth=1.5, alpha=0.5)
    shares = [100 * each.success.value for each in line]
    label = untrusted.line(line[0].arm, limit=24) if line else ""
    axes.plot(places, shares, "-o", color=colour, markersize=7, label=label)
