"""The errand of a service whose ports are taken, by some who may be ended and some who may not."""

from __future__ import annotations

from scaffold.models.simulated.errands.everyday import absent, asked, denied, launched
from scaffold.models.simulated.errands.facts import shell
from scaffold.models.simulated.errands.recipe import Look, Recipe, Snag, Step

__all__ = ["PORTS_TAKEN"]

WHO = """\
inode=$(while read -r _ local _ state _ _ _ _ _ inode _; do
  [ "$state" = 0A ] && [ $((16#${local#*:})) = {port} ] && echo "$inode"
done </proc/net/tcp)
for link in /proc/[0-9]*/fd/*; do
  [ "$(readlink "$link")" = "socket:[$inode]" ] && pid=${link#/proc/} && pid=${pid%%/*} &&
    echo "port {port} is held by process $pid, which runs in $(readlink "/proc/$pid/cwd")"
done 2>/dev/null; true"""
PART = """\
cd {holder_place} && gone() { for _ in {1..100}; do [ -e "/proc/$1" ] || return 0; sleep 0.05; done; }
if [[ $PWD/ != {services}/* ]]; then
  kept=$(grep -ls "\\"$PWD\\"" {services}/keep/enabled/*.json) && mv $kept {services}/keep/disabled/
  kill {holder} && gone {holder}
elif grep -q 'echo release' README.md; then
  echo release {held} >>control && sleep 1
elif spares=$(grep -o 'set aside for it, [0-9]* and [0-9]*' README.md | grep -o '[0-9]*'); then
  kill -TERM {holder} && gone {holder}
  sed -i "s/\\"ports\\": \\"[0-9]*\\"/\\"ports\\": \\"$(grep -vx {held} <<<"$spares")\\"/" config.json
  name=$(basename "$PWD"); setsid nohup python3 -IS "$name.py" >>"$name.log" 2>&1 </dev/null & sleep 1
else
  echo "{holder_place} must not be stopped"; exit 1
fi"""

PORTS_TAKEN = Recipe(
    name="ports taken",
    asked=r"service in \S+ does not start",
    facts={"place": r"service in (/\S+)", "services": r"service in (/\S+)/"},
    looks=(
        Look(
            name="readme",
            call=shell("cat {place}/README.md {place}/config.json"),
            obvious=True,
            facts={
                "program": r"nohup (python3 \S+ \S+\.py)",
                "first": r"^Answers on ports (\d+)",
            },
        ),
        Look(
            name="register",
            call=shell("cat {services}/README.md"),
            facts={"left": r"What runs from\s+anywhere else (is left over)"},
        ),
        Look(name="neighbours", call=shell("cat {services}/*/README.md")),
    ),
    steps=(
        Step(
            name="start",
            text="Start the service as its README says.",
            call=launched("{program!}", log="start.log"),
            instead=shell("cd {place} && timeout 2 python3 -IS atlas.py"),
            known_from=("readme",),
            certain=True,
        ),
        Step(
            name="check",
            text="Ask the service something.",
            call=asked("/ask", """'{"nonce": "hello"}'""", port="{first}"),
            known_from=("readme",),
            skill="care",
        ),
    ),
    snags=(
        denied(noticed="readme"),
        Snag(
            name="taken",
            signs=(r"cannot listen on \S+:(?P<port>\d+): Address already in use",),
            needs=("register",),
            mends=(shell(WHO + " # {left}"), shell(PART)),
            facts={
                "held by": r"port (?P<held>\d+) is held by process (?P<holder>\d+), which runs in "
                r"(?P<holder_place>/\S+)"
            },
            evident_from="register",
        ),
        absent(),
    ),
    done=(
        "All its ports are free, and the atlas answers; what had to keep running was moved or released, and "
        "everything else is untouched."
    ),
)
