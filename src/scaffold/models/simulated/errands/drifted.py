"""The errand of a service that is not set as its documents say."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from scaffold.models.simulated.errands.everyday import (
    absent,
    asked,
    denied,
    launched,
    locked,
    readme,
    unpacked,
)
from scaffold.models.simulated.errands.facts import shell
from scaffold.models.simulated.errands.recipe import Look, Recipe, Snag, Step

if TYPE_CHECKING:
    from scaffold.models.simulated.errands.facts import Facts

__all__ = ["DRIFTED"]

SETTLE = shell(
    """\
cd {place} && python3 -c '
import glob, json, sys
right = json.loads(sys.argv[1])
first, *further = ["settings.json", *sorted(glob.glob("settings.d/*.json"))]
found = {name: json.load(open(name)) for name in (first, *further)}
for name, settings in found.items():
    for key in [*settings] if name == first else [key for key in settings if key in right]:
        settings[key] = type(settings[key])(right.get(key, settings[key]))
    json.dump(settings, open(name, "w"), indent=2)
print("settled")
' {right}"""
)


def _right(facts: Facts) -> str | None:
    """Return the settings as the documents have them, the latest word on each."""
    stated = {record["setting"]: record["value"] for record in facts.records("table")}
    stated |= {record["setting"]: record["value"] for record in facts.records("change")}
    elsewhere = facts.value("stamp_port")
    for setting, value in stated.items():
        if value.startswith("see "):
            if elsewhere is None:
                return None
            stated[setting] = f"127.0.0.1:{elsewhere}"
    return json.dumps(stated) if stated else None


DRIFTED = Recipe(
    name="drifted",
    asked=r"does not answer as its documents say",
    facts={"place": r"service in (/\S+\w)"},
    inferred={"right": _right},
    looks=(
        readme(
            {
                "table": r"^\| `(?P<setting>\w+)` \| `(?P<value>[^`]+)` \|",
                "program": r"nohup (python3 \S+ \w+\.py)",
                "unpack": r"^ {4}tar \S+ (\S+)/answering",
                "later": r"Changes are noted in `(\S+)`",
                "check": r"POST http://127\.0\.0\.1:(?P<port>\d+)(?P<path>/\S+)\s+(?P<body>\{.*\})",
                "entry": r'answers with the entry "([^"]+)"',
            }
        ),
        Look(
            name="changes",
            call=shell("cat {place}/{later!}"),
            facts={"change": r"`(?P<setting>\w+)` is now `(?P<value>[^`]+)`"},
        ),
        Look(name="listing", call=shell("cd {place} && find . -type f -printf '%M %P\\n'")),
        Look(
            name="neighbours",
            call=shell("cd {place}/.. && cat stamp/settings.json notes/* 2>/dev/null; ls"),
            facts={"stamp_port": r'"port": (\d+)'},
        ),
        Look(name="log", call=shell("tail -n 5 {place}/logs/*.log")),
    ),
    steps=(
        Step(
            name="settle",
            text="Set every setting to what the documents say, the latest word on each.",
            call=SETTLE,
            known_from=("readme",),
        ),
        Step(
            name="start",
            text="Start the service as the README says.",
            call=launched("{program!}", log="logs/desk.log"),
            instead=shell("cd {place} && timeout 2 python3 desk.py"),
            known_from=("readme",),
            certain=True,
        ),
        Step(
            name="check",
            text="Ask the service what the README asks it, and compare the answer.",
            call=asked("{path!}", "{body}"),
            known_from=("readme",),
            skill="care",
        ),
    ),
    snags=(
        denied(),
        unpacked(),
        locked(),
        Snag(
            name="drifted",
            signs=(
                r"desk: (?:cannot read|the settings lack|\S+ line \d+:|\S+ is not|\S+codec)",
                r"gave no answer",
                r"connect: Connection refused",
            ),
            needs=("readme",),
            mends=(SETTLE,),
            evident_from="readme",
            undoes=("start",),
        ),
        absent("neighbours"),
    ),
    done="The service answers on port {port} again, set as its documents say; everything else is unchanged.",
)
