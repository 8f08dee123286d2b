"""The errand of a queue whose worker stops at jobs that cannot be done."""

from __future__ import annotations

from scaffold.models.simulated.errands.everyday import absent, denied, readme
from scaffold.models.simulated.errands.facts import shell
from scaffold.models.simulated.errands.recipe import Look, Recipe, Snag, Step

__all__ = ["PRESS"]

RUN = (
    "cd {place} && timeout %d %s; status=$?; "
    "[ $status = 0 ] || tail -n 1 journal.log | cut -d ' ' -f 1,2; exit $status"
)
SORT_OUT = """\
cd {place} && for job in $(ls claimed); do
  if {asked!} "$job" | grep -q 'delivered 0'; then mv claimed/"$job" queue/; else mv claimed/"$job" done/; fi
done; ls claimed"""

PRESS = Recipe(
    name="press",
    asked=r"\bpress\b.*worker|jobs? in the queue",
    facts={"place": r"press in (/\S+\w)"},
    looks=(
        readme(
            {
                "worker": r"&& (python3 \S+ worker\.py)",
                "asked": r"&& (python3 \S+ till\.py --asked)",
                "aside": r"set aside as it is: move its file to\s+`(\w+/)`",
            }
        ),
        Look(
            name="journal", call=shell("cd {place} && tail -n 5 journal.log; ls queue claimed | head -n 50")
        ),
        Look(name="lock", call=shell("cd {place} && cat worker.lock; ls -l")),
    ),
    steps=(
        Step(
            name="run",
            text="Run the worker until it ends by itself.",
            call=shell(RUN % (12, "{worker!}")),
            instead=shell(RUN % (12, "python3 -IS worker.py")),
            known_from=("readme",),
            certain=True,
        ),
        Step(
            name="check",
            text="Look whether the queue is empty; nothing may be in hand.",
            call=shell('cd {place} && ls queue claimed; [ -z "$(ls queue claimed | grep job)" ]'),
            known_from=("readme",),
            skill="care",
        ),
    ),
    snags=(
        denied(noticed="journal"),
        Snag(
            name="lock",
            signs=(r"worker\.lock exists: process (?P<process>\d+)",),
            needs=("readme",),
            mends=(
                shell(
                    "cd {place} && { grep -aq worker.py /proc/{process}/cmdline 2>/dev/null || "
                    "{ rm worker.lock; : {aside}; }; }"
                ),
            ),
            evident_from="lock",
        ),
        Snag(
            name="poison",
            signs=(
                r"^(?P<job>\S+\.job) taken\n[\s\S]*Traceback",
                r"^(?P<job>\S+\.job) \w+\n\[exit status 124\]",
            ),
            needs=("readme",),
            mends=(shell("cd {place} && mv claimed/{job} {aside!} || mv queue/{job} {aside!}"),),
            evident_from="readme",
        ),
        Snag(
            name="left",
            signs=(r"claimed/ is not empty: \S+ was in hand",),
            needs=("readme",),
            mends=(shell(SORT_OUT),),
            evident_from="readme",
        ),
        absent(),
    ),
    done=(
        "The worker ran to its end: the queue is empty, every job that can be done is done exactly once, "
        "and the others are set aside in {aside} as they were."
    ),
)
