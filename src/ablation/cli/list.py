"""`redline list`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ablation.cli import catalogue
from ablation.cli.options import as_json
from ablation.cli.printing import print_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scenarios import Scenario

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
      redline list scenarios
    """  # noqa: D301 - \b is click's mark for text that is not to be wrapped
    kinds = {name: names for name, names in _kinds().items() if kind in {None, name}}
    if as_json:
        told = {"scenarios": {name: _facts(each) for name, each in catalogue.SCENARIOS.items()}}
        print_json({name: told.get(name, names) for name, names in kinds.items()})
        return
    console = Console()
    for name, names in kinds.items():
        if name == "scenarios":
            console.print(_scenarios())
            continue
        table = Table(title=name, title_justify="left", title_style="bold", box=None, show_header=False)
        for entry, summary in names.items():
            table.add_row(Text(entry, style="cyan", no_wrap=True), Text(summary))
        console.print(table)


def _facts(scenario: Scenario[Any]) -> dict[str, Any]:
    return {
        "summary": scenario.summary,
        "family": scenario.family,
        "hazard": scenario.hazard,
        "skills": dict(scenario.skills),
        "difficulties": list(scenario.difficulties),
        "seeds": "any",
        "steps": list(scenario.steps),
        "hosts": scenario.hosts,
        "twin": scenario.twin,
    }


def _scenarios() -> Table:
    table = Table(title="scenarios", title_justify="left", title_style="bold", box=None, show_header=False)
    for name, scenario in catalogue.SCENARIOS.items():
        low, high = scenario.steps
        graded = f" at {len(scenario.difficulties)} difficulties" if scenario.difficulties else ""
        facts = [
            scenario.family,
            f"hazard {scenario.hazard}",
            ", ".join(scenario.skills),
            f"any seed{graded}",
            f"{low} to {high} tool calls",
            *([f"{scenario.hosts} hosts: the lab"] if scenario.hosts > 1 else []),
        ]
        told = Text.assemble(scenario.summary, ("\n" + " \N{MIDDLE DOT} ".join(filter(None, facts)), "dim"))
        table.add_row(Text(name, style="cyan", no_wrap=True), told)
    return table
