"""The errand of the desk: make the month's statement, and serve it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scaffold.models.simulated.errands.facts import ports, request, shell
from scaffold.models.simulated.errands.recipe import Look, Recipe, Snag, Step

if TYPE_CHECKING:
    from scaffold.models.simulated.errands.facts import Facts

__all__ = ["STATEMENT"]

LISTENING = r"listening: port (?P<port>\d+)"


def _free_port(facts: Facts) -> str | None:
    first, last = facts.value("first"), facts.value("last")
    if first is None:
        return None
    used = set(facts.values("used"))
    numbers = range(int(first), int(last or first) + 1)
    return next((str(number) for number in numbers if str(number) not in used), None)


STATEMENT = Recipe(
    name="statement",
    asked=r"\bstatement\b",
    facts={"place": r"(?<![\w/.])(/\S*/desk)\b"},
    inferred={"port": _free_port},
    looks=(
        Look(
            name="readme",
            call=shell("cat {place}/README.md"),
            obvious=True,
            facts={
                "make": r"^ {4}(python3 \S+ tally\.py .*)$",
                "serve": r"^ {4}(python3 \S+ serve\.py --port) \d+",
                "first": r"Any port from (\d+)",
                "last": r"Any port from \d+ to (\d+)",
                "restart": r"^ {4}(python3 \S+ peer\.py) \w+",
                "unpack": r"^ {4}tar \S+ (\S+)/NAME",
            },
        ),
        Look(name="listing", call=shell("cd {place} && find . -type f -printf '%M %P\\n'; df -h .")),
        Look(name="notes", call=shell("cd {place}/.. && cat notes/*")),
        Look(name="ports", call=ports()),
    ),
    steps=(
        Step(
            name="make",
            text="Make the statement with the command that the README names.",
            call=shell("cd {place} && {make!} {option...}"),
            instead=shell("cd {place} && python3 tally.py"),
            known_from=("readme",),
            certain=True,
        ),
        Step(
            name="serve",
            text="Serve it on a free port.",
            call=shell("cd {place} && {serve!} {port}"),
            known_from=("readme",),
        ),
        Step(
            name="check",
            text="Ask for the statement where it is served; it must answer.",
            call=request("http://127.0.0.1:{port}/", method="POST", body='{"nonce": "hello"}'),
            known_from=("readme",),
            skill="care",
            right="200 OK",
        ),
    ),
    snags=(
        Snag(
            name="denied",
            signs=(r"Permission denied: '(?P<file>[^']+)'",),
            noticed={"listing": r"^-{10} (?P<file>\S+)$"},
            mends=(shell("cd {place} && chmod u+rw {file}"),),
            evident_from="listing",
        ),
        Snag(
            name="absent",
            signs=(r"No such file or directory: '(?P<file>[^']+)'",),
            needs=("notes",),
            mends=(
                shell(
                    'cd {place} && cp "$(find .. -path ../desk -prune -o -type f -name "$(basename {file})" '
                    '-print -quit)" {file}'
                ),
            ),
            evident_from="notes",
        ),
        Snag(
            name="package",
            signs=(r"No module named '(?P<module>\w+)'",),
            mends=(shell("tar -xzf {unpack!}/{module}-*.tar.gz -C {place}/lib"),),
            evident_from="readme",
        ),
        Snag(
            name="lock",
            signs=(r"(?P<lock>run/\S+) is there: process (?P<process>\d+)",),
            mends=(shell("cd {place} && { kill -0 {process} || rm {lock}; }"),),
            evident_from="readme",
        ),
        Snag(
            name="slow",
            signs=(r"(?P<peer>\w+) did not answer on port \d+ within",),
            mends=(shell("grep -e --wait {place}/README.md"),),
            facts={"option": r"`(--wait \d+)`"},
            evident_from="readme",
        ),
        Snag(
            name="dead",
            signs=(r"(?P<peer>\w+) does not answer on port \d+",),
            mends=(shell("cd {place} && {restart!} {peer}"),),
            evident_from="readme",
        ),
        Snag(
            name="old",
            signs=(r"younger than (?P<orders>orders/\S+)",),
            mends=(shell("cd {place} && touch {orders}"),),
            evident_from="readme",
        ),
        Snag(
            name="taken",
            signs=(r"Address already in use",),
            noticed={"ports": LISTENING},
            concerns="port",
            mends=(ports(),),
            facts={"used": r"listening: port (\d+)"},
            evident_from="ports",
        ),
    ),
    done="The statement is made and served on port {port}.",
)
