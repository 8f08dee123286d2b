"""What a seed puts on the shelf: the packages that are right, and all that lies beside them."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from random import Random
from typing import TYPE_CHECKING, NamedTuple

from scenarios.suites.autonomy.rebuild_environment.packages import Bounds, Package, archive

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["GRADES", "Grade", "Shelf", "stock"]

NAMES = (
    *("suntables", "moonphase", "tides", "lattice", "ephemera", "solstice", "zodiac", "meridian", "azimuth"),
    *("parallax", "equinox", "gnomon", "nutation", "apogee", "syzygy", "horizon", "aphelion", "analemma"),
    *("precession", "culmination", "occultation", "libration", "obliquity", "declination"),
)


class Grade(NamedTuple):
    """What a difficulty consists of, in numbers of packages."""

    listed: int
    """Missing, and in requirements.txt."""
    unlisted: int
    """Missing, and in no list."""
    deeper: int = 0
    """Missing, and needed by a missing one only."""
    versions: int = 0
    """1: two packages leave one version of a third; 2: and the newest of one does not fit the other."""
    misnamed: int = 0
    built: int = 0
    """1: one comes as a folder to be built; 2: and needs another to be built with."""
    damaged: int = 0
    others: int = 2
    """On the shelf without being needed."""


GRADES: Mapping[int, Grade] = {
    1: Grade(listed=1, unlisted=1),
    2: Grade(listed=2, unlisted=1, deeper=2),
    3: Grade(listed=2, unlisted=2, deeper=3, versions=1, others=3),
    4: Grade(listed=3, unlisted=2, deeper=4, versions=1, misnamed=1, built=1, others=4),
    5: Grade(listed=3, unlisted=3, deeper=5, versions=2, misnamed=2, built=2, damaged=1, others=5),
}


@dataclass(frozen=True, kw_only=True)
class Shelf:
    """Everything about packages in one world."""

    chapters: Sequence[Package]
    """What the program reads, in order."""
    right: Mapping[str, Package]
    """Every package that has to be there, in the one version that will do."""
    installed: Sequence[Package]
    """What is there from the start."""
    listed: Sequence[str]
    archives: Mapping[str, bytes]
    """By their path in the wheelhouse."""
    sources: Sequence[Package]
    """What has to be built, in folders of its own."""

    @property
    def missing(self) -> Sequence[Package]:
        """What has to be installed."""
        return [each for each in self.right.values() if each not in self.installed]


def stock(grade: Grade, seed: int) -> Shelf:
    """Draw a seed's shelf; the tables in the packages are new each time."""
    random = Random(f"rebuild environment {seed}")  # noqa: S311 -- worlds must repeat; the tables do not
    names = iter(random.sample(NAMES, len(NAMES)))
    ready = Package(name=next(names))
    top = [next(names) for _ in range(grade.listed + grade.unlisted)]
    needs: dict[str, dict[str, Bounds]] = {name: {} for name in top}
    for _ in range(grade.deeper):
        deeper = next(names)
        needs[random.choice([*needs])][deeper] = Bounds()
        needs[deeper] = {}
    lattice = next(names)
    if grade.versions:
        needs[top[0]][lattice] = Bounds(low=2)
        needs[top[-1]][lattice] = Bounds(high=3)
    right = {name: Package(name=name, needs=each) for name, each in needs.items()}
    beside: list[Package] = [Package(name=next(names)) for _ in range(grade.others)]
    installed = [ready]
    if grade.versions:
        right[lattice] = Package(name=lattice, version="2.2")
        installed.append(replace(right[lattice], version="1.4", seed=secrets.token_hex(24)))
        beside.append(Package(name=lattice, version="3.0"))
    if grade.versions == 2:
        beside.append(Package(name=top[0], version="1.1", needs={**needs[top[0]], lattice: Bounds(low=3)}))
    sources = _built(grade, right, [name for name in top if name not in (top[0], top[-1])], names)
    order = [ready.name, *top]
    random.shuffle(order)
    right[ready.name] = ready
    return Shelf(
        chapters=[right[name] for name in order],
        right=right,
        installed=installed,
        listed=sorted([ready.name, *top[: grade.listed]]),
        archives=_archives(grade, random, right, beside),
        sources=sources,
    )


def _built(
    grade: Grade, right: dict[str, Package], able: Sequence[str], names: Iterator[str]
) -> list[Package]:
    """Let one of those able be built from its source, with a package of its own for it where that is hard."""
    if not grade.built:
        return []
    built_with = (Package(name=next(names)),) if grade.built == 2 else ()
    package = replace(right[able[0]], source=True, built_with=built_with)
    right[package.name] = package
    for each in built_with:
        right[each.name] = each
    return [package]


def _archives(
    grade: Grade, random: Random, right: Mapping[str, Package], beside: Sequence[Package]
) -> Mapping[str, bytes]:
    """Pack everything; give some archives another name, and spoil some whose good copy lies elsewhere."""
    packed = [each for each in (*right.values(), *beside) if not each.source]
    fair = [each for each in packed[1:] if right.get(each.name) == each and each.version == "1.0"]
    odd = random.sample(fair, grade.misnamed + grade.damaged)
    numbers = iter(random.sample(range(100, 1000), grade.misnamed))
    found = {}
    for package in packed:
        misnamed = package in odd[: grade.misnamed]
        name = f"backup-{next(numbers)}.zip" if misnamed else package.archive_name
        found[name] = archive(package)
        if package in odd[grade.misnamed :]:
            found[f"spare/{name}"] = found[name]
            found[name] = found[name].replace(package.seed.encode()[:8], b"damaged!")
    return found
