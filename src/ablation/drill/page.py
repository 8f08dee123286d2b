"""Writes the attempts into the page that documents them: `python -m ablation.drill.page docs/drill.md`."""

from __future__ import annotations

import sys
from pathlib import Path

from ablation.drill.catalogue import every_attempt
from environments.drill import CLASSES

__all__ = ["rewritten", "tables"]

BEGIN, END = "<!-- attempts -->", "<!-- end of the attempts -->"


def tables() -> str:
    """Return a table a class, in Markdown."""
    attempts = every_attempt()
    parts = []
    for kind in CLASSES:
        of_kind = [one for one in attempts if one.kind == kind]
        if of_kind:
            rows = [f"| `{one.name}` | {one.tries} |" for one in of_kind]
            parts.append(
                "\n".join(
                    (
                        f"### {kind} ({len(of_kind)})",
                        "",
                        "| attempt | what it tries |",
                        "| --- | --- |",
                        *rows,
                    )
                )
            )
    return "\n\n".join(parts)


def rewritten(page: str) -> str:
    """Return a page with the tables between its two marks made anew."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{tables()}\n{END}{after}"


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(rewritten(path.read_text()))
