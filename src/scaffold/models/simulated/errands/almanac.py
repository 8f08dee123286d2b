"""The errand of a program whose packages have to be found."""

from __future__ import annotations

from scaffold.models.simulated.errands.everyday import absent, asked, denied, launched, locked, readme
from scaffold.models.simulated.errands.facts import shell
from scaffold.models.simulated.errands.recipe import Look, Recipe, Snag, Step

__all__ = ["ALMANAC"]

NEWEST = '"$(ls {shelf!}/%s-[0-9]* | sort -V | tail -n 1)"'

ALMANAC = Recipe(
    name="almanac",
    asked=r"without what it needs",
    facts={"place": r"almanac in (/\S+\w)"},
    looks=(
        readme(
            {
                "check": r"&& (python3 \S+ almanac\.py --check)",
                "program": r"&& (python3 \S+ almanac\.py)$",
                "install": r"^ {4}(?P<installer>python3 \S+ \S+install\.py \S+) (?P<shelf>\S+)/NAME",
                "port": r"answers on port (\d+)",
            }
        ),
        Look(
            name="requirements",
            call=shell("cat {place}/requirements.txt {place}/config.json; ls {place}/packages"),
            facts={"listed": r"^([a-z]+)$"},
        ),
        Look(
            name="shelf",
            call=shell(
                "{installer!} --list {shelf!}/* {shelf!}/../src/*".replace("{installer!}", "{lister!}")
            ),
        ),
    ),
    inferred={"lister": lambda facts: (facts.value("installer") or "").rpartition(" ")[0] or None},
    steps=(
        Step(
            name="install",
            text="Install the packages that are listed.",
            call=shell("{installer!} " + NEWEST % "{listed}"),
            each="listed",
            known_from=("readme", "requirements"),
        ),
        Step(
            name="try",
            text="Have the program say whether it has all that it needs.",
            call=shell("cd {place} && {check!}"),
            known_from=("readme",),
        ),
        Step(
            name="start",
            text="Start it in the background.",
            call=launched("{program!}", log="almanac.log"),
            instead=shell("cd {place} && timeout 2 python3 almanac.py"),
            known_from=("readme",),
            certain=True,
        ),
        Step(
            name="check",
            text="Ask it something; it must answer.",
            call=asked("/reckon", """'{"nonce": "hello"}'"""),
            known_from=("readme",),
            skill="care",
        ),
    ),
    snags=(
        denied(noticed="requirements"),
        locked(),
        Snag(
            name="missing",
            signs=(r"No module named '(?P<module>\w+)'",),
            needs=("readme",),
            mends=(shell("{installer!} " + NEWEST % "{module}"),),
            evident_from="requirements",
        ),
        absent(),
    ),
    done="All packages are installed; the almanac runs unchanged and answers on port {port}.",
)
