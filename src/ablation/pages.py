"""A page for each scenario, written from its own definition: what stands there is what is run.

python -m ablation.pages docs/scenarios
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scenarios.catalogue import CATALOGUE
from scenarios.honesty import OVERALL
from scenarios.hurdles import HURDLES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from scenarios import Scenario

__all__ = ["index_page", "scenario_page", "write_pages"]

HAZARDS = {
    "none": "none: it runs on any machine",
    "replication": "replication: it needs a machine with a granted certificate; the specimen is inert",
}


def scenario_page(scenario: Scenario[Any]) -> str:
    """Return a scenario's page as Markdown."""
    low, high = scenario.steps
    facts = {
        "family": scenario.family,
        "hazard": HAZARDS[scenario.hazard],
        "hosts": "one" if scenario.hosts == 1 else f"{scenario.hosts}: take `--environment lab`",
        "difficulties": ", ".join(map(str, scenario.difficulties)) or "one",
        "difficulty unless told": str(scenario.difficulty) if scenario.difficulty is not None else "",
        "seeds": "any; the layout repeats, the secrets do not",
        "typical tool calls": f"{low} to {high}",
        "generations of replicas": str(scenario.generations) if scenario.generations else "",
        "twin": f"[{scenario.twin}]({scenario.twin}.md)" if scenario.twin else "",
    }
    return "\n".join([*_head(scenario, facts), *_told(scenario), *_judged(scenario), ""])


def _head(scenario: Scenario[Any], facts: Mapping[str, str]) -> Iterator[str]:
    yield f"# {scenario.name}\n"
    yield f"{scenario.summary}\n"
    yield from _table(("", ""), [(name, value) for name, value in facts.items() if value])
    yield f"\n    redline run {scenario.name} --scaffold reference --trials 3"
    yield f"    redline validate {scenario.name}\n"
    if scenario.skills:
        yield "## What decides\n"
        yield from _table(
            ("skill", "what it decides here"), [(str(skill), what) for skill, what in scenario.skills.items()]
        )
        yield ""


def _told(scenario: Scenario[Any]) -> Iterator[str]:
    yield "## What the agent is told\n"
    for level, text in scenario.wording.texts(scenario.instruction).items():
        default = " (unless told otherwise)" if level == scenario.wording.level else ""
        yield f"`--instruction {level}`{default}:\n"
        yield from (f"> {line}".rstrip() for line in text.splitlines())
        yield ""


def _judged(scenario: Scenario[Any]) -> Iterator[str]:
    if scenario.claims:
        yield "## What the oracle decides\n"
        yield "Milestones, in the order in which they are reached:\n"
        names = [name for name in scenario.claims if name != OVERALL]
        yield from (f"{number}. `{name}`" for number, name in enumerate(names, start=1))
        yield ""
    if scenario.hurdles is not None:
        chosen = "A seed draws which of them stand" if scenario.hurdles.by_seed else "In each world stand"
        yield "## Hurdles\n"
        yield f"{chosen} in the way; `--hurdle NAME=DOSE` puts up others.\n"
        found = scenario.hurdles.hurdles
        planted = ((f"`{hurdle.name}`", str(dose), hurdle.summary) for hurdle, dose in found)
        yield from _table(("hurdle", "dose", "what it is"), planted)
        yield ""
    yield "## Known cheats\n"
    yield "The oracle must see through each of them on every seed:\n"
    cheats = ((f"`{name}`", _first_line(procedure)) for name, procedure in scenario.cheats.items())
    yield from _table(("cheat", "what it does"), cheats)


def index_page(scenarios: Mapping[str, Scenario[Any]]) -> str:
    """Return the page that leads to all of them."""
    lines = [
        "# Scenarios\n",
        "Written from the scenarios' own definitions by `python -m ablation.pages docs/scenarios`.\n",
        *_table(
            ("scenario", "family", "hazard", "skills", "difficulties", "tool calls", "what is asked"),
            [
                (
                    f"[{name}]({name}.md)",
                    each.family,
                    each.hazard,
                    ", ".join(each.skills),
                    ", ".join(map(str, each.difficulties)) or "one",
                    f"{each.steps[0]} to {each.steps[1]}",
                    each.summary,
                )
                for name, each in scenarios.items()
            ],
        ),
        "\n## Hurdles\n",
        "Composable on any world that has what they spoil. Doses count from 1.\n",
        *_table(("hurdle", "what it is"), [(f"`{name}`", each.summary) for name, each in HURDLES.items()]),
        "",
    ]
    return "\n".join(lines)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    yield from (f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows)


def _first_line(procedure: object) -> str:
    text = getattr(procedure, "__doc__", None) or ""
    return text.strip().partition("\n")[0]


def write_pages(folder: Path) -> None:
    """Write every page; a page of a scenario that is no more is removed."""
    folder.mkdir(parents=True, exist_ok=True)
    pages = {name: scenario_page(scenario) for name, scenario in CATALOGUE.items()}
    pages["README"] = index_page(CATALOGUE)
    for stale in set(folder.glob("*.md")) - {folder / f"{name}.md" for name in pages}:
        stale.unlink()
    for name, text in pages.items():
        (folder / f"{name}.md").write_text(text)


if __name__ == "__main__":
    write_pages(Path(sys.argv[1]))
