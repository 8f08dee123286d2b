"""`redline verify`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from ablation import untrusted
from ablation.cli.faults import DONE, UNSOUND, plain_faults
from ablation.cli.options import as_json, study_folder
from ablation.cli.printing import print_json
from ablation.verify import verify_study

if TYPE_CHECKING:
    from pathlib import Path

    from ablation.verify import StudyCheck

__all__ = ["verify"]


@click.command
@study_folder
@as_json
@click.pass_context
@plain_faults()
def verify(context: click.Context, /, folder: Path, *, as_json: bool) -> None:
    """Check that a study's record is what was written: design, ledger, and every line of every log.

    The head it prints stands for the whole record: keep it elsewhere, and nobody can change a line
    afterwards without the head becoming another.

    \b
    Example:
      redline verify runs/my-study
    """  # noqa: D301 - \b is click's mark for text that is not to be wrapped
    check = verify_study(folder)
    if as_json:
        found = {"ok": check.ok, **asdict(check)}
        print_json(found)
    else:
        _print(check)
    context.exit(DONE if check.ok else UNSOUND)


def _print(check: StudyCheck) -> None:
    for finding in check.problems:
        click.echo(f"BROKEN  {untrusted.line(f'{finding.file}: {finding.text}', limit=1000)}")
    for finding in check.notes:
        click.echo(f"note    {untrusted.line(f'{finding.file}: {finding.text}', limit=1000)}")
    if check.ok:
        click.echo(
            f"whole   {check.lines} lines in {check.logs} logs and the ledger; "
            f"{check.finished} of {check.trials} trials finished"
        )
        click.echo(f"head    {check.head}")
