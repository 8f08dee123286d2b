"""A report as Markdown. Nothing an agent made becomes mark-up or a link in it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ablation import untrusted
from ablation.report.tables import results_tables, trust_tables

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ablation.report.content import Report
    from ablation.report.tables import Table

__all__ = ["render_markdown"]

_MARKUP = re.compile(r"([\\`*_{}\[\]<>#|~&!])")


def render_markdown(report: Report) -> str:
    """Render the whole report but the single trials, which only the HTML and the CSV list."""
    return "\n".join(_lines(report)).rstrip() + "\n"


def _lines(report: Report) -> Iterator[str]:
    label = f" ({report.label})" if report.label else ""
    yield f"# {_text(report.study)}{label}"
    yield from _block(f"**{_text(report.headline)}**")
    if report.question:
        yield from _block(f"Question: {_text(report.question)}")
    for warning in report.warnings:
        yield from _block(f"> **Warning.** {_text(warning)}")
    for table in results_tables(report):
        yield from _table(table, label)
    for table in trust_tables(report):
        yield from _table(table, label)
    yield from _block("## Scope")
    yield ""
    yield from (f"- {_text(statement)}" for statement in report.scope.statements)
    for scenario, instruction in report.scope.instructions:
        yield from _block(f"Instruction of {_text(scenario)}, word for word:")
        yield from _fenced(instruction)
    yield from _block("## Reproduce")
    yield from _block(f"Digest of the design: `{report.digest}`")
    yield from _fenced("\n".join(report.scope.reproduce))


def _block(text: str) -> Iterator[str]:
    yield from ("", text)


def _table(table: Table, label: str) -> Iterator[str]:
    yield from _block(f"## {table.title}{label}")
    if table.lead:
        yield from _block(_text(table.lead))
    yield ""
    yield _row([_text(name) for name in table.head])
    yield _row(["---"] * len(table.head))
    yield from (_row([_text(cell) for cell in row]) for row in table.rows)
    if table.note:
        yield from _block(_text(table.note))


def _row(cells: tuple[str, ...] | list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _fenced(text: str) -> Iterator[str]:
    passage = untrusted.passage(text)
    fence = "`" * max(3, *(len(run) + 1 for run in re.findall(r"`+", passage)), 3)
    yield from ("", f"{fence}text", passage, fence)


def _text(text: str) -> str:
    """Return one line in which no character is mark-up and no address becomes a link."""
    escaped = _MARKUP.sub(r"\\\1", untrusted.line(text, limit=1000))
    return re.sub(r"(?:://|www\.|@)+", lambda found: f"`{found[0]}`", escaped)
