"""`redline doctor`."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ablation import untrusted
from ablation.cli.diagnostics import configure_diagnostics
from ablation.cli.faults import DONE, UNSOUND, plain_faults
from ablation.cli.grouping import GroupedCommand
from ablation.cli.options import as_json
from ablation.cli.printing import print_json
from ablation.cli.subjects import subject_of, subject_options
from environments.doctor import Finding, examine
from scaffold import ModelFailed, SubjectUnavailable
from scaffold.models.checkup import check_up

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scaffold.protocols import Subject

__all__ = ["doctor"]

_ROOMY_BYTES = 1 << 30
_MARKS = {True: ("ok", "green"), None: ("warn", "yellow"), False: ("fail", "red")}


@click.command(cls=GroupedCommand)
@subject_options(default=None, otherwise="It is asked a few things.")
@as_json
@click.pass_context
@plain_faults()
def doctor(context: click.Context, /, *, as_json: bool, **options: Any) -> None:
    """Say what works on this machine, and what to do about what does not.

    A sandbox is really opened. With --model, the subject is really asked a few things: whether it
    answers, calls tools, keeps seeds and reports usage, and how fast it is.

    \b
    Examples:
      redline doctor
      redline doctor --model openai:my-model --base-url http://127.0.0.1:8000/v1
    """  # noqa: D301 - \b is click's mark for text that is not to be wrapped
    configure_diagnostics()
    named = subject_of(options)
    machine, asked = asyncio.run(_examine(named.subject() if named else None))
    findings = [*machine, *asked]
    if as_json:
        found = {"ok": _sound(findings), "findings": [asdict(finding) for finding in findings]}
        print_json(found)
    else:
        _print(machine)
        for finding in asked:
            _print_line(finding)
    context.exit(DONE if _sound(findings) else UNSOUND)


def _sound(findings: Sequence[Finding]) -> bool:
    return all(finding.ok is not False for finding in findings)


async def _examine(subject: Subject | None) -> tuple[list[Finding], list[Finding]]:
    """Return what was found of this machine, and of the subject."""
    return [*await examine(), _disk()], [] if subject is None else [await _subject(subject)]


def _disk() -> Finding:
    free = shutil.disk_usage(Path.cwd()).free
    return Finding(
        name="room for records",
        ok=True if free > _ROOMY_BYTES else None,
        detail=f"{free / (1 << 30):.1f} GiB free here",
        mend="" if free > _ROOMY_BYTES else "make room, or give --out a folder on another disk",
    )


async def _subject(subject: Subject) -> Finding:
    """Ask the subject a few things; a server that is not there is a finding like any other."""
    name = f"subject {subject.name}"
    try:
        found = await check_up(subject)
    except SubjectUnavailable as fault:
        return Finding(name=name, ok=False, detail=str(fault))
    except ModelFailed as fault:
        mend = "see that the server runs, and check --base-url and OPENAI_API_KEY"
        return Finding(name=name, ok=False, detail=str(fault), mend=mend)
    except ValueError as fault:
        return Finding(name=name, ok=False, detail=str(fault), mend="mend the option that it names")
    return Finding(name=name, ok=not found.mends or None, detail=found.line, mend=", ".join(found.mends))


def _print(findings: Sequence[Finding]) -> None:
    table = Table(box=None, pad_edge=False)
    for heading in ("", "what", "found", "mend"):
        table.add_column(heading, overflow="fold")
    for finding in findings:
        word, style = _MARKS[finding.ok]
        cells = (finding.name, untrusted.line(finding.detail, limit=300), finding.mend)
        table.add_row(Text(word, style=style), *map(Text, cells))
    Console().print(table)


def _print_line(finding: Finding) -> None:
    word, style = _MARKS[finding.ok]
    mend = f"; mend: {finding.mend}" if finding.mend else ""
    said = f"  {finding.name}: {untrusted.line(finding.detail, limit=600)}{mend}"
    Console().print(Text.assemble((word, style), said), soft_wrap=True)
