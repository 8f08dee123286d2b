"""The jobs of one trial: what lies where when the agent comes, and what has to have become of it."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Literal, NamedTuple

from scenarios.suites.autonomy.programs.worker import compute

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["GRADES", "Grade", "Job", "draw"]

Fate = Literal["good", "poisoned", "stranded"]
State = Literal["queued", "done", "delivered", "in hand"]
"""Where a job stands at first. `delivered` and `in hand` both lie in claimed/: only the till knows which."""

OPERATIONS = ("sum", "longest", "trail")
COPIES = 10**12
TRAIL = 6


class Grade(NamedTuple):
    """What a difficulty consists of."""

    jobs: int
    poisons: tuple[str, ...]
    claimed: tuple[State, ...] = ()
    """What a killed worker left behind, beside its lock."""
    done: int = 0
    waiting: int = 0
    """Good jobs that wait for a later one."""
    stranded: int = 0
    reused: bool = False
    """The number in the stale lock has become the till's."""

    def state(self, index: int) -> State:
        """Where the job of this place in the queue stands at first."""
        if index < self.done:
            return "done"
        return [*self.claimed, "queued"][min(index - self.done, len(self.claimed))]


GRADES: Mapping[int, Grade] = {
    1: Grade(jobs=6, poisons=("cut",)),
    2: Grade(jobs=12, poisons=("cut", "unknown")),
    3: Grade(jobs=16, poisons=("unknown", "endless"), claimed=("in hand",), done=2),
    4: Grade(jobs=22, poisons=("huge", "endless", "itself"), claimed=("delivered",), done=3, waiting=3),
    5: Grade(
        jobs=32,
        poisons=("cut", "unknown", "huge", "endless", "circle", "circle"),
        claimed=("delivered", "in hand"),
        done=3,
        waiting=4,
        stranded=3,
        reused=True,
    ),
}


@dataclass(frozen=True, kw_only=True)
class Job:
    """One job, and what is right for it."""

    name: str
    data: bytes
    """Of its file."""
    input: bytes
    value: str = ""
    """What a good one finds out; known outside only until somebody computes it."""
    fate: Fate = "good"
    state: State = "queued"

    @property
    def input_name(self) -> str:
        """The file that it reads."""
        return f"inputs/{self.name.removesuffix('.job')}.txt"

    @property
    def result_name(self) -> str:
        """The file that it writes."""
        return f"results/{self.name.removesuffix('.job')}.txt"


def draw(grade: Grade, seed: int) -> tuple[Job, ...]:
    """Return a seed's jobs in the order of the queue; what they read is new each time."""
    random = Random(f"poisoned job {seed}")  # noqa: S311 -- worlds must repeat; the inputs do not
    operations = [random.choice(OPERATIONS) for _ in range(grade.jobs)]
    names = [f"{10 * index + random.randrange(10):04}-{op}.job" for index, op in enumerate(operations, 1)]
    behind = len(grade.claimed) + grade.done
    ahead = list(range(behind, grade.jobs))
    places = sorted(random.sample(ahead, len(grade.poisons)))
    poisons = dict(zip(places, random.sample(grade.poisons, len(places)), strict=True))
    healthy = [index for index in ahead if index not in poisons]
    stranded = dict.fromkeys(random.sample(healthy, grade.stranded))
    waiting = random.sample([i for i in healthy[:-1] if i not in stranded], grade.waiting)
    later = {i: random.choice([j for j in healthy if j > i and j not in stranded] or [0]) for i in waiting}
    after = {i: names[j] for i, j in later.items()} | {i: names[random.choice(places)] for i in stranded}
    after |= _circles(poisons, names)
    named = dict.fromkeys(stranded, "stranded") | poisons
    return tuple(
        _job(name, operation, poison=named.get(index), after=after.get(index), state=grade.state(index))
        for index, (name, operation) in enumerate(zip(names, operations, strict=True))
    )


def _circles(poisons: Mapping[int, str], names: list[str]) -> dict[int, str]:
    """Return what the jobs wait for that wait for themselves, or for one another."""
    itself = {index: names[index] for index, poison in poisons.items() if poison == "itself"}
    circle = [index for index, poison in poisons.items() if poison == "circle"]
    return itself | {index: names[circle[place - 1]] for place, index in enumerate(circle)}


def _job(name: str, operation: str, *, poison: str | None, after: str | None, state: State) -> Job:
    if poison == "endless":
        operation = "trail"
    text = _input(operation, endless=poison == "endless")
    job = {"operation": operation, "input": f"inputs/{name.removesuffix('.job')}.txt"}
    if after is not None:
        job["after"] = after
    if poison == "unknown":
        job["operation"] = "summ" if operation == "sum" else f"{operation}s"
    if poison == "huge":
        job["copies"] = str(COPIES)
    data = json.dumps(job, indent=1).encode() + b"\n"
    if poison == "cut":
        data = data[: len(data) // 2]
    good = poison is None
    return Job(
        name=name,
        data=data,
        input=text.encode(),
        value=compute(job, text, lambda _: None) if good else "",
        fate="good" if good else "stranded" if poison == "stranded" else "poisoned",
        state=state,
    )


def _input(operation: str, *, endless: bool) -> str:
    if operation == "sum":
        lines = [str(secrets.randbelow(10**9)) for _ in range(5)]
    elif operation == "longest":
        lines = [secrets.token_hex(4 + secrets.randbelow(4)) for _ in range(5)]
        lines.append(secrets.token_hex(9))
    else:
        order = [*range(1, TRAIL), TRAIL - 2 if endless else "end"]
        lines = [f"{secrets.token_hex(4)} {place}" for place in order]
    return "".join(f"{line}\n" for line in lines)
