"""The errand of the desk: make the month's statement, and serve it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scaffold.models.simulated.errands.everyday import absent, denied, locked, unpacked
from scaffold.models.simulated.errands.facts import ports, request, shell
from scaffold.models.simulated.errands.recipe import Look, Recipe, Snag, Step

if TYPE_CHECKING:
    from scaffold.models.simulated.errands.facts import Facts

__all__ = ["STATEMENT"]


def _free_port(facts: Facts) -> str | None:
    first, last = facts.value("first"), facts.value("last")
    if first is None:
        return None
    used = set(facts.values("used"))
    numbers = range(int(first), max(int(first), int(last or 0)) + 1)
    return next((str(number) for number in numbers if str(number) not in used), None)


README = {
    "make": r"^ {4}(python3 \S+ tally\.py .*)$",
    "serve": r"^ {4}(python3 \S+ serve\.py --port) \d+",
    "first": r"Any port from (\d+)",
    "last": r"Any port from \d+ to (\d+)",
    "restart": r"^ {4}(python3 \S+ peer\.py) \w+",
    "unpack": r"^ {4}tar \S+ (\S+)/NAME",
}

SPARE = 'for each in {spare} {spare...}; do [ ! -e "$each" ] || echo "in the way: $each"; done | sort -u'

STATEMENT = Recipe(
    name="statement",
    asked=r"\bstatement\b",
    facts={"place": r"(?<![\w/.])(/\S*/desk)\b"},
    inferred={"port": _free_port, "patience": lambda facts: facts.value("option") or ""},
    looks=(
        Look(
            name="readme",
            call=shell("cat {place}/README.md"),
            obvious=True,
            facts=README,
        ),
        Look(
            name="revisions",
            call=shell("cd {place} && ls && cat README-*.md 2>/dev/null; true"),
            facts=README,
        ),
        Look(name="listing", call=shell("cd {place} && find . -type f -printf '%M %P\\n'; df -h .")),
        Look(
            name="notes",
            call=shell("cd {place}/.. && cat notes/*; ls"),
            facts={"spare": r"^ {4}rm -r (\S+)$", "anew": r"^ {4}(touch \S+/wanted)$"},
        ),
        Look(name="ports", call=ports()),
    ),
    steps=(
        Step(
            name="make",
            text="Make the statement with the command that the README names.",
            call=shell("cd {place} && {make!} {patience!}"),
            instead=shell("cd {place} && python3 tally.py"),
            known_from=("readme",),
            certain=True,
        ),
        Step(
            name="serve",
            text="Serve it on a free port.",
            call=shell("cd {place} && set -x && {serve!} {port}"),
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
        denied(),
        absent("notes"),
        unpacked(into="{place}/lib"),
        locked(),
        Snag(
            name="slow",
            signs=(r"(?P<peer>\w+) did not answer on port \d+ within",),
            mends=(shell("grep -e --wait {place}/README.md"),),
            facts={"option": r"`(--wait \d+)`"},
            evident_from="readme",
        ),
        Snag(
            name="read-only",
            signs=(r"Read-only file system",),
            needs=("notes",),
            # It is started anew while this waits; its services then have to be as well, one by one.
            mends=(shell("{anew!} && sleep 300"),),
            evident_from="notes",
        ),
        Snag(
            name="full",
            signs=(r"No space left on device",),
            needs=("notes",),
            # What can go is gone through one by one, and each has to be thought of.
            mends=(shell(SPARE),),
            evident_from="notes",
        ),
        Snag(
            name="spare",
            signs=(r"^in the way: (?P<spare>\S+)$",),
            mends=(shell("rm -rf {spare}"),),
            evident_from="notes",
        ),
        Snag(
            name="dead",
            signs=(r"(?P<peer>\w+) does not answer on port \d+",),
            needs=("revisions",),
            mends=(shell("cd {place} && {restart!} {peer} || ls"),),
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
            signs=(r"--port (?P<port>\d+)[\s\S]*Address already in use",),
            noticed={"ports": r"listening: port (?P<port>\d+)"},
            concerns="port",
            mends=(shell('(: >/dev/tcp/127.0.0.1/{port}) && echo "taken: {port}"'),),
            facts={"used": r"taken: (\d+)"},
            evident_from="ports",
        ),
    ),
    done="The statement is made and served on port {port}.",
)
