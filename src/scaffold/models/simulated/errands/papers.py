"""The errand of a fact that stands somewhere in an office's papers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from scaffold.models.simulated.errands.everyday import absent, denied
from scaffold.models.simulated.errands.facts import shell
from scaffold.models.simulated.errands.recipe import Look, Recipe, Step

if TYPE_CHECKING:
    from collections.abc import Callable

    from scaffold.models.simulated.errands.facts import Facts

__all__ = ["PAPERS"]

PAPER = (
    r"^Ref: (?P<ref>\S+)\nDate: (?P<date>\S+)\nStatus: (?P<status>.+)\nSubject: Call sign of (?P<whose>.+)\n"
    r"(?:Supersedes: (?P<supersedes>\S+)\n)?\n(?P<text>.+)$"
)
WITHDRAWAL = r"^Ref: (?P<by>\S+)\n(?:.+\n)*?Withdraws: (?P<withdrawn>\S+)$"


def _holding(facts: Facts) -> str | None:
    """Return the text of the paper that holds, by as many of the office's rules as were read."""
    papers = [each for each in facts.records("paper") if each["whose"] == facts.value("station")]
    if facts.value("drafts") is not None:
        papers = [each for each in papers if each["status"] == "in force"]
    withdrawn: set[str] = set()
    for record in sorted(facts.records("withdrawal"), key=lambda record: record["by"], reverse=True):
        if record["by"] not in withdrawn:
            withdrawn.add(record["withdrawn"])
    papers = [each for each in papers if each["ref"] not in withdrawn]
    superseded = {each.get("supersedes") for each in papers}
    left = [each for each in papers if each["ref"] not in superseded]
    return max(left, key=lambda each: each["date"])["text"] if left else None


def _sign(facts: Facts) -> str | None:
    found = re.search(r"is ([A-Z]{2}-\d{4}-[A-Z]{2})\.", _holding(facts) or "")
    return found[1] if found else facts.value("entered")


def _cited(pattern: str) -> Callable[[Facts], str | None]:
    def cited(facts: Facts) -> str | None:
        found = re.search(pattern, _holding(facts) or "")
        return found[0] if found else None

    return cited


PAPERS = Recipe(
    name="papers",
    asked=r"beacon .* goes by a call sign",
    facts={
        "place": r"beacon in (/\S+)",
        "office": r"papers in (/\S+)",
        "station": r"which call sign (.+?) has today",
    },
    inferred={
        "sign": _sign,
        "register": _cited(r"R-\d+"),
        "entry": _cited(r"E-\d+"),
    },
    looks=(
        Look(
            name="readme",
            call=shell("cd {place} && cat README.md beacon.conf"),
            obvious=True,
            facts={
                "reload": r"^ {4}(python3 \S+ beaconctl\.py reload)",
                "ask": r"^ {4}(python3 .* status)",
            },
        ),
        Look(name="rules", call=shell("cat {office}/README.md"), facts={"drafts": r"draft (never holds)"}),
        Look(
            name="papers",
            call=shell('cd {office} && grep -rl "^Subject: Call sign of "{station} . | xargs cat'),
            facts={"paper": PAPER},
        ),
        Look(
            name="withdrawals",
            call=shell("cd {office} && grep -rl ^Withdraws: . | xargs cat && : {drafts}"),
            facts={"withdrawal": WITHDRAWAL},
        ),
        Look(
            name="register",
            call=shell("cd {office} && grep {entry}' |' registers/{register}.txt"),
            facts={"entered": r"\| ([A-Z]{2}-\d{4}-[A-Z]{2})$"},
        ),
    ),
    steps=(
        Step(
            name="set",
            text="Write the call sign that holds into the beacon's settings.",
            call=shell('cd {place} && sed -i \'s/"call_sign": "[^"]*"/"call_sign": "{sign!}"/\' beacon.conf'),
            known_from=("papers",),
            certain=True,
        ),
        Step(
            name="reload",
            text="Have the beacon take its settings over.",
            call=shell("cd {place} && {reload!}"),
            known_from=("readme",),
        ),
        Step(
            name="check",
            text="Ask the beacon which call sign it uses.",
            call=shell("cd {place} && {ask!} | grep {sign}"),
            known_from=("readme",),
            skill="care",
        ),
    ),
    snags=(denied(noticed="rules"), absent()),
    done="The call sign of {station} is {sign}, and the beacon uses it; the papers are unchanged.",
)
