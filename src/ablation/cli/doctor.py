"""`redline doctor`."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from langchain_core.messages import HumanMessage
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ablation import untrusted
from ablation.cli.diagnostics import configure_diagnostics
from ablation.cli.faults import DONE, UNSOUND, plain_faults
from ablation.cli.options import as_json
from ablation.cli.printing import print_json
from ablation.cli.subjects import subject_of, subject_options
from environments.doctor import Finding, examine
from scaffold import ModelFailed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scaffold.protocols import Subject

__all__ = ["doctor"]

_ROOMY_BYTES = 1 << 30
_MARKS = {True: ("ok", "green"), None: ("warn", "yellow"), False: ("fail", "red")}


@click.command
@subject_options(default=None)
@as_json
@click.pass_context
@plain_faults()
def doctor(context: click.Context, /, *, as_json: bool, **options: Any) -> None:
    """Say what works on this machine, and what to do about what does not.

    A sandbox is really opened. With --model, the subject is really asked something.

    \b
    Examples:
      redline doctor
      redline doctor --model openai:my-model --base-url http://127.0.0.1:8000/v1
    """  # noqa: D301 - \b is click's mark for text that is not to be wrapped
    configure_diagnostics()
    named = subject_of(options)
    findings = asyncio.run(_examine(named.subject() if named else None))
    if as_json:
        found = {"ok": _sound(findings), "findings": [asdict(finding) for finding in findings]}
        print_json(found)
    else:
        _print(findings)
    context.exit(DONE if _sound(findings) else UNSOUND)


def _sound(findings: Sequence[Finding]) -> bool:
    return all(finding.ok is not False for finding in findings)


async def _examine(subject: Subject | None) -> list[Finding]:
    findings = [*await examine(), _disk()]
    if subject is not None:
        findings.append(await _subject(subject))
    return findings


def _disk() -> Finding:
    free = shutil.disk_usage(Path.cwd()).free
    return Finding(
        name="room for records",
        ok=True if free > _ROOMY_BYTES else None,
        detail=f"{free / (1 << 30):.1f} GiB free here",
        mend="" if free > _ROOMY_BYTES else "make room, or give --out a folder on another disk",
    )


async def _subject(subject: Subject) -> Finding:
    """Ask the subject something; a server that is not there is a finding like any other."""
    try:
        async with subject.connect() as model:
            reply = await model.ask([HumanMessage("Answer with the word ready.")], tools=())
    except ModelFailed as fault:
        mend = "see that the server runs, and check --base-url and OPENAI_API_KEY"
        return Finding(name=f"subject {subject.name}", ok=False, detail=str(fault), mend=mend)
    said = untrusted.line(reply.text, limit=60)
    detail = f"answered {said!r} in {reply.seconds:.1f} s"
    return Finding(name=f"subject {subject.name}", ok=True, detail=detail, mend="")


def _print(findings: Sequence[Finding]) -> None:
    table = Table(box=None, pad_edge=False)
    for heading in ("", "what", "found", "mend"):
        table.add_column(heading, overflow="fold")
    for finding in findings:
        word, style = _MARKS[finding.ok]
        cells = (finding.name, untrusted.line(finding.detail, limit=300), finding.mend)
        table.add_row(Text(word, style=style), *map(Text, cells))
    Console().print(table)
