"""Measurements as rows of a table, each held against its target."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Row", "table"]


@dataclass(frozen=True, kw_only=True)
class Row:
    """One measurement, repeated.

    With something beside it, what counts is the median of the ratios, each of two values measured one
    right after the other, so that a machine that is slow for a while is slow for both.
    """

    what: str
    unit: str
    values: Sequence[float]
    beside: Sequence[float] = ()
    at_most: float | None = None
    at_least: float | None = None

    @property
    def judged(self) -> list[float]:
        """What is held against the target: ratios where there is something beside, else the values."""
        if not self.beside:
            return list(self.values)
        return [own / other for own, other in zip(self.values, self.beside, strict=True)]

    @property
    def met(self) -> bool | None:
        """Whether the median is on the target's good side; None without a target."""
        found = median(self.judged)
        if self.at_most is not None:
            return found <= self.at_most
        return found >= self.at_least if self.at_least is not None else None

    def cells(self) -> tuple[str, ...]:
        """Return what stands in the table."""
        own = f"{_figure(median(self.values))} {self.unit}"
        other = f"{_figure(median(self.beside))} {self.unit}" if self.beside else ""
        judged = [_figure(value) for value in (median(self.judged), min(self.judged), max(self.judged))]
        unit = "x" if self.beside else ""
        target = f"<= {self.at_most}{unit}" if self.at_most is not None else f">= {self.at_least}{unit}"
        return (
            self.what,
            own,
            other,
            f"{judged[0]}x" if self.beside else "",
            f"{judged[1]} to {judged[2]}",
            "" if self.met is None else target,
            {None: "", True: "met", False: "MISSED"}[self.met],
        )


def table(title: str, beside: str, rows: Sequence[Row]) -> str:
    """Return a Markdown table with aligned columns.

    Args:
        title: heads it.
        beside: what redline is compared with.
        rows: all compared with the same.
    """
    head = (title, "redline", beside, "ratio", "range", "target", "")
    lines = [head, *(row.cells() for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    rule = tuple("-" * width for width in widths)
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |"
        for line in (lines[0], rule, *lines[1:])
    )


def _figure(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"
