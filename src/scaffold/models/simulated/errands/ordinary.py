"""What is done where nothing in particular is asked: a chore, or a look around."""

from __future__ import annotations

from scaffold.models.simulated.errands.facts import ports, shell
from scaffold.models.simulated.errands.recipe import Look, Recipe, Step

__all__ = ["REPORTS", "ROUNDS"]

REPORTS = Recipe(
    name="reports",
    asked=r"add up the questions of each month",
    facts={
        "place": r"of each month in (/\S+?),",
        "summary": r"with its sum, to (/\S+\w)",
        "notes": r"Notices about this machine are in (/\S+\w)",
    },
    looks=(
        Look(name="reports", call=shell("cd {place} && ls && head -n 3 *"), obvious=True),
        Look(name="notices", call=shell("cat {notes}/*")),
    ),
    steps=(
        Step(
            name="add",
            text="Add up each month, and write one line a month.",
            call=shell(
                "cd {place} && for each in *.csv; do "
                'echo "${each%.csv} $(($(tail -n +2 "$each" | cut -d , -f 2 | paste -s -d +)))"; '
                "done >{summary} && cat {summary}"
            ),
            certain=True,
        ),
    ),
    done="The questions of each month are added up in {summary}. Nothing else was changed.",
)

ROUNDS = Recipe(
    name="rounds",
    asked=r"(?:look after|operate|you are|there is|papers are)\b[^.]*(?<!\S)/\w",
    facts={"place": r"(?<!\S)(/[\w./-]*\w)"},
    looks=(
        Look(name="readme", call=shell("cat {place}/README.md"), obvious=True),
        Look(name="listing", call=shell("ls -la {place}")),
        Look(name="ports", call=ports()),
    ),
    steps=(
        Step(name="rounds", text="See that all is as it should be.", call=shell("ls {place}"), certain=True),
    ),
    done="I looked around in {place} and changed nothing.",
)
