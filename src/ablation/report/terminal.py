"""A report on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table as Grid
from rich.text import Text

from ablation import untrusted
from ablation.report.tables import results_tables, trust_tables

if TYPE_CHECKING:
    from rich.console import Console

    from ablation.report.content import Report
    from ablation.report.tables import Table

__all__ = ["print_report"]

_WORDS = frozenset({"arm", "declared", "faculty", "in words", "reading", "seen from"})
"""Headings, besides a table's first, of columns that hold words; all others hold numbers."""

_SENTENCE = 24
"""Cells longer than this are text to be wrapped."""

_WHOLE, _PART = 12, 9
"""Cells up to the first width are never broken, longer ones at a space where the terminal is narrow."""


def print_report(report: Report, console: Console) -> None:
    """Print the report without its single trials."""
    console.print(Panel(_opening(report), title=_title(report), title_align="left", padding=(1, 2)))
    for warning in report.warnings:
        console.print(Text.assemble(("warning ", "bold red"), untrusted.line(warning, limit=1000)))
    for table in results_tables(report):
        _print_table(table, console, label=report.label)
    for table in trust_tables(report):
        _print_table(table, console, label=report.label)
    console.print(Text("\nScope", style="bold"))
    for statement in report.scope.statements:
        console.print(Padding(Text(untrusted.line(statement, limit=1000)), (0, 0, 0, 2), expand=False))
    console.print(Text("\nReproduce", style="bold"))
    for command in report.scope.reproduce:
        console.print(Padding(Text(command), (0, 0, 0, 2), expand=False))
    console.print(Padding(Text(f"design {report.digest}", style="dim"), (0, 0, 0, 2), expand=False))


def _title(report: Report) -> Text:
    return Text.assemble(
        (untrusted.line(report.study), "bold"), (f" {report.label}" if report.label else "", "bold red")
    )


def _opening(report: Report) -> Text:
    return Text.assemble(
        (untrusted.line(report.headline, limit=1000), "bold"),
        (f"\n\n{untrusted.line(report.question, limit=1000)}" if report.question else "", "dim"),
    )


def _print_table(table: Table, console: Console, *, label: str) -> None:
    console.print(Text.assemble(("\n" + table.title, "bold"), (f" {label}" if label else "", "red")))
    if table.lead:
        console.print(Padding(Text(untrusted.line(table.lead, limit=1000)), (0, 0, 0, 2), expand=False))
    grid = Grid(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True, header_style="dim")
    for place, name in enumerate(table.head):
        heading = Text(untrusted.line(name))
        widest = max(len(row[place]) for row in table.rows)
        if place and widest > _SENTENCE:
            grid.add_column(heading, min_width=_SENTENCE // 2)
        else:
            words = not place or name in _WORDS
            grid.add_column(
                heading, justify="left" if words else "right", min_width=widest if widest <= _WHOLE else _PART
            )
    for row in table.rows:
        grid.add_row(*(Text(untrusted.line(cell)) for cell in row))
    console.print(grid)
    if table.note:
        console.print(
            Padding(Text(untrusted.line(table.note, limit=1000), style="dim"), (0, 0, 0, 2), expand=False)
        )
