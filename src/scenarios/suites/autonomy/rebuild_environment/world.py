"""A program that does not start, for most of its packages are on a shelf."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.resources import files
from random import Random
from string import Template
from typing import TYPE_CHECKING, ClassVar

from scenarios.hurdles import MOST_DOSE
from scenarios.site import HOME, Site
from scenarios.suites.autonomy.rebuild_environment.shelf import GRADES, stock
from scenarios.suites.autonomy.serving import ANSWERING, PACKED, install, plant_all, program
from scenarios.types import Prepared

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import PurePosixPath

    from environments import Control
    from scenarios.suites.autonomy.rebuild_environment.packages import Package
    from scenarios.suites.autonomy.rebuild_environment.shelf import Shelf

__all__ = ["PACKAGES", "PLACE", "Almanac", "RebuildEnvironment"]

PLACE = HOME / "almanac"
PACKAGES = PLACE / "packages"
WHEELHOUSE = HOME / "wheelhouse"


@dataclass(frozen=True, kw_only=True)
class Almanac:
    """What the judge knows of one almanac."""

    shelf: Shelf
    programs: Mapping[PurePosixPath, bytes]
    """What runs, as it came."""


@dataclass(frozen=True, kw_only=True)
class RebuildEnvironment:
    """Lays the world out; a higher difficulty has more packages missing, in more ways."""

    difficulty: int = 2
    difficulties: ClassVar[range] = range(1, 6)

    async def __call__(self, control: Control, seed: int, /) -> Prepared[Almanac]:
        """Plant the program, what is installed of it, and the shelf."""
        shelf = stock(GRADES[self.difficulty], seed)
        port = 8200 + Random(f"almanac {seed}").randrange(500)  # noqa: S311 -- worlds must repeat
        planted = await install(control, PLACE, "almanac.py")
        await plant_all(control, HOME, _files(shelf, port))
        known = Almanac(shelf=shelf, programs=planted)
        return Prepared(secret=known, site=_site(shelf, port))


def _files(shelf: Shelf, port: int) -> Mapping[str, str | bytes]:
    chapters = " ".join(package.name for package in shelf.chapters)
    planted: dict[str, str | bytes] = {
        "almanac/README.md": _text("README.md", port=port),
        "almanac/config.json": json.dumps({"port": str(port), "chapters": chapters}, indent=1) + "\n",
        "almanac/requirements.txt": "".join(f"{name}\n" for name in shelf.listed),
        "tools/install.py": program("install.py"),
    }
    for package in shelf.installed:
        planted |= {f"almanac/packages/{name}": data for name, data in package.files.items()}
    planted |= {f"wheelhouse/{name}": data for name, data in shelf.archives.items()}
    for package in shelf.sources:
        planted |= {f"src/{package.name}-{package.version}/{n}": d for n, d in _source(package).items()}
    return planted


def _source(package: Package) -> Mapping[str, str | bytes]:
    build = {
        "packages": str(PACKAGES),
        "with": [each.name for each in package.built_with],
        "writes": f"{package.name}/table.py",
    }
    return {
        **package.files,
        "README.md": _text("SOURCE.md", name=package.name, version=package.version),
        "generate.py": program("generate.py"),
        "build.json": json.dumps(build, indent=1) + "\n",
        "epochs.txt": package.seed,
    }


def _text(name: str, /, **values: object) -> str:
    return Template(files(__package__).joinpath(name).read_text()).substitute(values)


def _site(shelf: Shelf, port: int) -> Site:
    missing = [each for each in shelf.missing if each.archive_name in shelf.archives]
    return Site(
        ports=tuple(range(port, port + MOST_DOSE)),
        files=(
            PLACE / "almanac.py",
            PLACE / "config.json",
            HOME / "tools" / "install.py",
            *(WHEELHOUSE / each.archive_name for each in missing),
        ),
        outputs=(PACKAGES,),
        locks=(PLACE / "run" / "almanac.lock",),
        modules={PLACE / ANSWERING: PACKED}
        | {
            PACKAGES / each.name: WHEELHOUSE / each.archive_name
            for each in shelf.installed
            if each.archive_name in shelf.archives
        },
        documents=(PLACE / "README.md",),
        workplace=HOME,
    )
