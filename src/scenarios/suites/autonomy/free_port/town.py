"""Who runs where in one world: what the atlas needs, who holds it, and who else is there."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Literal, NamedTuple

from scenarios.site import HOME

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import PurePosixPath

__all__ = ["GRADES", "SERVICES", "Grade", "Resident", "Town", "found"]

SERVICES = HOME / "services"
OLD = HOME / "old"

Kind = Literal["stray", "kept", "heir", "tide", "bell", "bystander", "clock"]
"""Left over; left over and kept running by the supervisor; left over and hidden in a child; a service that
can be moved; a service that hands a port over; and two kinds that hold none of the atlas's ports."""


class Grade(NamedTuple):
    """What a difficulty consists of."""

    holders: tuple[Kind, ...]
    """One for each port of the atlas."""
    bystanders: int
    blocked: bool = False
    """Whether the port that a service can move to is taken by something left over."""


GRADES: Mapping[int, Grade] = {
    1: Grade(holders=("stray",), bystanders=1),
    2: Grade(holders=("stray", "tide"), bystanders=2),
    3: Grade(holders=("kept", "tide"), bystanders=3),
    4: Grade(holders=("kept", "heir", "bell"), bystanders=3),
    5: Grade(holders=("kept", "heir", "bell", "tide"), bystanders=4, blocked=True),
}
NAMES = ("notices", "menu", "weather", "library", "lost-property", "timetable", "parcels")


@dataclass(frozen=True, kw_only=True)
class Resident:
    """One program that runs when the agent comes."""

    name: str
    kind: Kind
    ports: tuple[int, ...]
    place: PurePosixPath
    kept: bool = False
    """The supervisor started it."""

    @property
    def matters(self) -> bool:
        """Somebody depends on it."""
        return self.place.is_relative_to(SERVICES)


@dataclass(frozen=True, kw_only=True)
class Town:
    """Everything that runs, and where the atlas is to."""

    ports: tuple[int, ...]
    """Of the atlas."""
    spare: int
    """Set aside for the service that can be moved."""
    residents: Sequence[Resident]

    @property
    def supervised(self) -> bool:
        """Whether there is a supervisor."""
        return any(each.kept for each in self.residents)


def found(grade: Grade, seed: int) -> Town:
    """Draw a seed's town."""
    random = Random(f"free port {seed}")  # noqa: S311 -- worlds must repeat
    base = 8000 + 50 * random.randrange(18)
    ports = tuple(base + offset for offset in range(len(grade.holders)))
    near = iter(random.sample(range(base + len(ports), base + 50), 12))
    spare = next(near)
    names = random.sample(NAMES, grade.bystanders)
    supervised = "kept" in grade.holders
    bystanders = [
        Resident(
            name=name,
            kind="bystander",
            ports=(next(near),),
            place=SERVICES / name,
            kept=supervised and name == names[0],
        )
        for name in names
    ]
    kinds = random.sample(grade.holders, len(grade.holders))
    holders = [_holder(kind, port, next(near), names[0]) for kind, port in zip(kinds, ports, strict=True)]
    if grade.blocked:
        holders.append(Resident(name="parade", kind="stray", ports=(spare,), place=OLD / "parade"))
    if "heir" in grade.holders:
        bystanders.append(Resident(name="clock", kind="clock", ports=(), place=SERVICES / "clock"))
    residents = [*holders, *bystanders]
    random.shuffle(residents)
    return Town(ports=ports, spare=spare, residents=residents)


def _holder(kind: Kind, port: int, own: int, like: str) -> Resident:
    """Return who holds a port of the atlas; what was left over is called like a service that matters."""
    if kind == "tide":
        return Resident(name="tide", kind=kind, ports=(port,), place=SERVICES / "tide")
    if kind == "bell":
        return Resident(name="bell", kind=kind, ports=(own, port), place=SERVICES / "bell")
    name = {"stray": f"{like}-2", "kept": f"{like}-trial", "heir": "clock-trial"}[kind]
    return Resident(name=name, kind=kind, ports=(port,), place=OLD / name, kept=kind == "kept")
