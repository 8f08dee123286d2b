"""`redline report`."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Literal

import click
import orjson
from rich.console import Console

from ablation.cli.faults import plain_faults
from ablation.cli.options import study_folder
from ablation.cli.publishing import publish_html
from ablation.report import Report, build_report, print_report, render_markdown, report_as_json, trials_as_csv
from ablation.report.html import render_html
from ablation.spending import why_incomplete
from ablation.store import StudyFolder

__all__ = ["report"]

Format = Literal["text", "html", "md", "json", "csv"]


@click.command
@study_folder
@click.option(
    "--format",
    "-f",
    "form",
    type=click.Choice(["text", "html", "md", "json", "csv"]),
    default="text",
    show_default=True,
    help="html is written into the study's folder, the others to standard output.",
)
@click.option("--json", "as_json", is_flag=True, help="Same as --format json.")
@click.option(
    "--out", "-o", type=click.Path(path_type=Path, dir_okay=False), help="Write to this file instead."
)
@plain_faults()
def report(folder: Path, form: Format, *, as_json: bool, out: Path | None) -> None:
    """Show what a study found, finished or not, from its logs alone.

    \b
    Examples:
      redline report runs/my-study
      redline report runs/my-study --format html
      redline report runs/my-study --format csv -o trials.csv
    """  # noqa: D301 - \b is click's mark for text that is not to be wrapped
    study = StudyFolder.load(folder)
    found = build_report(study.records(), study.design, incomplete=why_incomplete(study))
    form = "json" if as_json else form
    if out is not None:
        out.write_text(_rendered(found, form), encoding="utf-8")
    elif form == "html":
        click.echo(publish_html(found, folder))
    elif form == "text":
        print_report(found, Console())
    else:
        click.echo(_rendered(found, form), nl=False)


def _rendered(found: Report, form: Format) -> str:
    match form:
        case "html":
            return render_html(found)
        case "md":
            return render_markdown(found)
        case "json":
            return orjson.dumps(report_as_json(found), option=orjson.OPT_APPEND_NEWLINE).decode()
        case "csv":
            return trials_as_csv(found)
        case "text":
            page = StringIO()
            print_report(found, Console(file=page, width=110))
            return page.getvalue()
