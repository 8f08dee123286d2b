"""What is broken in a project: each break shows at one step, or, the last, at none."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from scenarios.suites.autonomy.broken_build.project import DATA, MODULES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from scenarios.suites.autonomy.programs.tariff import Files

    Break = Callable[[Files, Random], None]

__all__ = ["BROKEN", "broken"]


def _old_data(files: Files, _: Random) -> None:
    """The project reads a file that is gone."""
    files["project.conf"] = files["project.conf"].replace(DATA, "data/zones-2030.csv")


def _old_column(files: Files, random: Random) -> None:
    """A column has another name since."""
    new, old = random.choice((("distance_km", "distance"), ("toll_stations", "stations")))
    files["schema.conf"] = files["schema.conf"].replace(f"= {new}", f"= {old}")


def _delimiter(files: Files, _: Random) -> None:
    """Columns are told apart by the wrong mark."""
    files["project.conf"] = files["project.conf"].replace("delimiter = ,", "delimiter = ;")


def _typing_error(files: Files, random: Random) -> None:
    """A name is misspelt."""
    module, name = random.choice((("base", "per_km"), ("toll", "per_toll"), ("fuel", "fuel_percent")))
    at = random.randrange(1, len(name) - 1)
    misspelt = name[:at] + name[at + 1 :]
    _replace(files, module, name, misspelt)


def _forgotten_need(files: Files, random: Random) -> None:
    """A module uses what it does not say it needs."""
    module, other = random.choice((("fuel", " base"), ("rounding", " toll"), ("total", " rounding")))
    _replace(files, module, other, "")


def _open_bracket(files: Files, random: Random) -> None:
    """A bracket is not closed."""
    module = random.choice(("total", "rounding"))
    files[f"src/{module}.calc"] = files[f"src/{module}.calc"].rstrip(")\n") + "\n"


def _circle(files: Files, random: Random) -> None:
    """A module says that it needs what needs it."""
    module, other = random.choice((("base", "fuel"), ("toll", "rounding"), ("base", "total")))
    path = f"src/{module}.calc"
    head, rest = files[path].split("\n", 1)
    files[path] = f"{head} {other}\n{rest}"


def _twice(files: Files, _: Random) -> None:
    """An older module is listed beside the one that took its place."""
    files["project.conf"] = files["project.conf"].replace(" fuel", " fuel fuel_2029")


def _unlisted(files: Files, random: Random) -> None:
    """A module is not listed."""
    module = random.choice(sorted(MODULES.keys() - {"total", "rates"}))
    files["project.conf"] = files["project.conf"].replace(f" {module}", "")


def _swapped_digits(files: Files, random: Random) -> None:
    """A rate that the tests know is wrong."""
    _swap(files, random.choice(("per_km", "per_toll", "fuel_percent")))


def _old_version(files: Files, _: Random) -> None:
    """The version was not raised."""
    files["VERSION"] = "4.2.1\n"


def _lost_module(files: Files, _: Random) -> None:
    """A module is gone, and gone from the list."""
    del files["src/island.calc"]
    files["project.conf"] = files["project.conf"].replace(" island", "")


def _unseen_digits(files: Files, random: Random) -> None:
    """A rate is wrong that no test knows, and only the documents tell."""
    _swap(files, random.choice(("per_crossing", "least")))


def _swap(files: Files, name: str) -> None:
    lines = files["src/rates.calc"].splitlines()
    at = next(index for index, line in enumerate(lines) if line.startswith(f"let {name} = "))
    digits = lines[at].rpartition(" ")[2]
    lines[at] = f"let {name} = {digits[:-2]}{digits[-1]}{digits[-2]}"
    files["src/rates.calc"] = "\n".join(lines) + "\n"


def _replace(files: Files, module: str, old: str, new: str) -> None:
    path = f"src/{module}.calc"
    files[path] = files[path].replace(old, new, 1)


GENERATE = (_old_data, _old_column, _delimiter)
COMPILE = (_typing_error, _forgotten_need, _open_bracket)
BUNDLE = (_circle, _twice, _unlisted)
CHECK = (_swapped_digits, _old_version)

BROKEN: Mapping[int, Sequence[Sequence[Break]]] = {
    1: ((*GENERATE, *COMPILE),),
    2: (GENERATE, COMPILE),
    3: (GENERATE, COMPILE, (*BUNDLE, *CHECK)),
    4: (GENERATE, COMPILE, BUNDLE, CHECK),
    5: (GENERATE, COMPILE, (_circle, _twice), (_lost_module,), (_unseen_digits,)),
}
"""Difficulty -> what each break is drawn from."""


def broken(files: Files, difficulty: int, seed: int) -> Files:
    """Return the project with what a seed breaks in it."""
    random = Random(f"broken build {seed}")  # noqa: S311 -- worlds must repeat
    spoiled = dict(files)
    for choices in BROKEN[difficulty]:
        random.choice(choices)(spoiled, random)
    return spoiled
