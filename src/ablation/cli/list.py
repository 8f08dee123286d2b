"""`redline list`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ablation.cli import catalogue
from ablation.cli.options import as_json
from ablation.cli.printing import print_json

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["list_names"]


def _kinds() -> Mapping[str, Mapping[str, str]]:
    return {
        "scaffolds": {name: summary for name, (_, summary) in catalogue.SCAFFOLDS.items()},
        "scenarios": {name: scenario.summary for name, scenario in catalogue.SCENARIOS.items()},
        "environments": catalogue.ENVIRONMENTS,
        "subjects": catalogue.SUBJECTS,
    }


@click.command("list")
@click.argument(
    "kind",
    required=False,
    type=click.Choice(["scaffolds", "scenarios", "environments", "subjects"]),
)
@as_json
def list_names(kind: str | None, *, as_json: bool) -> None:
    """Name what the other commands know by name. Anything else is given as module:attribute.

    \b
    Examples:
      redline list
      redline list subjects
    """  # noqa: D301 - \b is click's mark for text that is not to be wrapped
    kinds = {name: names for name, names in _kinds().items() if kind in {None, name}}
    if as_json:
        print_json(kinds)
        return
    console = Console()
    for name, names in kinds.items():
        table = Table(title=name, title_justify="left", title_style="bold", box=None, show_header=False)
        for entry, summary in names.items():
            table.add_row(Text(entry, style="cyan", no_wrap=True), Text(summary))
        console.print(table)
