"""Drawing vector graphics that belong to the page: its font, its light and dark colours, no other ids.

Matplotlib draws with placeholder colours; in the text it writes they become CSS variables of the page, so
that one picture works on light and dark paper and in print.
"""

from __future__ import annotations

import io
import re
import warnings
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from matplotlib import rc_context
from matplotlib.figure import Figure

from ablation import untrusted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from matplotlib.axes import Axes

__all__ = ["ACCENT", "ALARM", "INK", "MUTED", "PAPER", "RULE", "Canvas", "Plot", "canvas", "label_rows"]

INK, MUTED, RULE, PAPER = "#0a0b01", "#0a0b02", "#0a0b03", "#0a0b04"
ACCENT, ALARM = "#0a0b05", "#0a0b06"
"""Placeholders for the page's own colours."""

_CSS = {
    INK: "var(--ink)",
    MUTED: "var(--muted)",
    RULE: "var(--rule)",
    PAPER: "var(--paper)",
    ACCENT: "var(--accent)",
    ALARM: "var(--alarm)",
}

_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
_PIXELS = 72

_SETTINGS: dict[str, Any] = {
    "svg.fonttype": "none",
    "font.family": "DejaVu Sans",
    "font.size": 12,
    # Names hold dollar signs or underscores now and then; they are no formulas.
    "text.parse_math": False,
    "text.color": INK,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": RULE,
    "axes.linewidth": 1,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.axisbelow": True,
    "axes.labelsize": 11.5,
    "axes.labelpad": 8,
    "grid.color": RULE,
    "grid.linewidth": 0.75,
    "xtick.color": RULE,
    "ytick.color": RULE,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 11,
    "ytick.labelsize": 12,
    "ytick.left": False,
    "xtick.major.size": 0,
    "legend.frameon": False,
    "legend.fontsize": 11,
    "legend.handlelength": 1,
    "legend.handleheight": 1,
}


@dataclass(frozen=True, kw_only=True)
class Plot:
    """A picture with what is said beside it."""

    name: str
    title: str
    note: str
    svg: str
    wide: bool = False


@dataclass(kw_only=True)
class Canvas:
    """A picture being drawn; `svg` holds it once the `canvas` block has been left."""

    axes: Axes
    svg: str = field(default="", init=False)


@contextmanager
def canvas(name: str, *, width: int, height: int, label: str) -> Iterator[Canvas]:
    """Open a picture of the given size in CSS pixels and finish it on leaving.

    Args:
        name: unique in the page.
        width: in CSS pixels.
        height: in CSS pixels.
        label: drawn into the corner, so that it stays with the picture wherever that is taken.
    """
    # Matplotlib's stubs want every key as a literal, which a joined dictionary has not.
    settings: Any = {**_SETTINGS, "svg.hashsalt": name}
    with rc_context(settings):
        figure = Figure(figsize=(width / _PIXELS, height / _PIXELS), layout="constrained")
        drawing = Canvas(axes=figure.add_subplot())
        if label:
            drawing.axes.set_title(label, loc="right", fontsize=10, fontweight="bold", color=ALARM, pad=12)
        yield drawing
        drawing.svg = _for_page(_written(figure))


def _written(figure: Figure) -> str:
    out = io.StringIO()
    with warnings.catch_warnings():
        # Letters that Matplotlib's font lacks are drawn by the reader's browser.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(
            out,
            format="svg",
            transparent=True,
            metadata={"Creator": None, "Date": None, "Format": None, "Type": None},
        )
    return out.getvalue()


def _for_page(text: str) -> str:
    svg = text[text.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(<g) id="[^"]*"', r"\1", svg)
    svg = re.sub(r'^<svg[^>]*viewBox="([^"]*)"[^>]*>', r'<svg viewBox="\1" role="img">', svg, count=1)
    svg = re.sub(r"(font:[^;\"]*?px) [^;\"]*", rf"\1 {_FONT}", svg)
    svg = svg.replace("xlink:href", "href")
    return re.sub("|".join(_CSS), lambda found: _CSS[found[0]], svg)


def label_rows(axes: Axes, names: Sequence[str]) -> None:
    """Name the rows of a picture, the first at the top."""
    axes.set_yticks(range(len(names)), [untrusted.line(name, limit=36) for name in names])
    axes.set_ylim(len(names) - 0.5, -0.5)
