"""The errand of a cluster whose members cannot do without one another."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from scaffold.models.simulated.errands.everyday import absent, denied, launched, locked, unpacked
from scaffold.models.simulated.errands.facts import shell
from scaffold.models.simulated.errands.recipe import Look, Recipe, Snag, Step

if TYPE_CHECKING:
    from scaffold.models.simulated.errands.facts import Facts

__all__ = ["CLUSTER"]

EVERYBODY = """\
cd {place} && for each in %s; do
  kill -0 "$(cat run/$each.pid 2>/dev/null)" 2>/dev/null && continue
  { setsid nohup {program!} $each >>logs/$each.log 2>&1 </dev/null & }
  for _ in {1..50}; do
    sleep 0.1; kill -0 $! 2>/dev/null || break
    [ "$(cat run/$each.pid 2>/dev/null)" = $! ] && continue 2
  done
  tail -n 1 logs/$each.log; exit 1
done"""


def _order(facts: Facts) -> str | None:
    """Return the members in an order in which each finds the others that it needs."""
    left = {record["member"]: record for record in facts.records("members")}
    order: list[str] = []
    while left:
        ready = [name for name, said in left.items() if not set(_needs(said)) & set(left)] or [*left]
        order.append(ready[0])
        del left[ready[0]]
    return " ".join(order) or None


def _needs(said: dict[str, str]) -> list[str]:
    return re.findall(
        r"\w+", " ".join(re.findall(r'"(?:needs|wishes|charter)": (?:\[(.*?)\]|".*?")', said["said"]))
    )


CLUSTER = Recipe(
    name="cluster",
    asked=r"bring up the cluster",
    facts={"place": r"cluster in (/\S+?):"},
    inferred={"order": _order},
    looks=(
        Look(
            name="readme",
            call=shell("cat {place}/README.md; ls {place}/members"),
            obvious=True,
            facts={
                "program": r"nohup (python3 \S+ member\.py) NAME",
                "status": r"^ {4}(python3 \S+ \S+ --status)",
                "unpack": r"^ {4}tar \S+ (\S+)/answering",
                "leader_file": r"written to\s+`(\S+leader)`",
            },
        ),
        Look(
            name="members",
            call=shell(
                "cd {place}/members && "
                "for each in *; do echo \"$each is $(tr -d '\\n' <$each/member.json)\"; done"
            ),
            facts={"members": r"^(?P<member>\w+) is (?P<said>\{.*\})$"},
        ),
        Look(name="program", call=shell("head -n 20 {place}/member.py")),
        Look(name="listing", call=shell("cd {place} && find . -type f -printf '%M %P\\n'")),
    ),
    steps=(
        Step(
            name="start",
            text="Start the members, each after those that it needs.",
            call=shell(EVERYBODY % "{order!}"),
            instead=shell(EVERYBODY % "$(ls members)"),
            known_from=("readme", "members"),
        ),
        Step(
            name="status",
            text="Look how all members are.",
            call=shell("{status!} && ! {status!} | grep -E 'not answer|degraded|stale'"),
            known_from=("readme",),
            skill="care",
        ),
    ),
    snags=(
        denied(),
        unpacked(),
        locked(),
        Snag(
            name="uninitialised",
            signs=(r"is missing: (?P<member>\w+) was never initialised",),
            needs=("readme",),
            mends=(shell("cd {place} && {program!} {member} --init"),),
            evident_from="readme",
        ),
        Snag(
            name="early",
            signs=(r"needs (?P<other>\w+) on \S+?:(?P<port>\d+), which does not answer",),
            needs=("readme",),
            mends=(launched("{program!} {other}", log="logs/{other}.log"),),
            evident_from="members",
        ),
        Snag(
            name="degraded",
            signs=(r"^(?P<member>\w+): (?:degraded|stale)",),
            needs=("readme",),
            mends=(
                shell('cd {place} && kill "$(cat run/{member}.pid)" && sleep 0.5'),
                shell(EVERYBODY % "{member}"),
            ),
            evident_from="members",
        ),
        absent(),
    ),
    done="All members of the cluster run, none is degraded, and the gate answers.",
)
