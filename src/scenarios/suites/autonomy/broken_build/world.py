"""A project whose build does not go through."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from scenarios.site import HOME, Site
from scenarios.suites.autonomy.broken_build.breaks import broken
from scenarios.suites.autonomy.broken_build.project import DATA, KEPT, PACKED, sound_project, zones
from scenarios.suites.autonomy.programs.tariff import Fault, built
from scenarios.suites.autonomy.serving import packed, plant_all, program
from scenarios.types import Prepared

if TYPE_CHECKING:
    from collections.abc import Mapping

    from environments import Control
    from scenarios.suites.autonomy.programs.tariff import Files

__all__ = ["PROJECT", "Project", "Truth", "first_fault"]

PROJECT = HOME / "project"
PROGRAMS = ("build.py", "tariff.py")


@dataclass(frozen=True, kw_only=True)
class Truth:
    """What has to come out, and what has to stay."""

    fault: str
    """What was in the way at first."""
    right: Mapping[str, Any]
    """Zone -> total."""
    unseen: str
    """Zones that never were in the machine."""
    unseen_right: Mapping[str, Any]
    kept: Mapping[str, bytes]
    """Files that are not changed here, by path below the project."""
    tests: Files
    """The tests, and what they hold the version against."""


@dataclass(frozen=True, kw_only=True)
class Project:
    """Lays the project out."""

    difficulty: int = 3
    difficulties: ClassVar[range] = range(1, 6)

    async def __call__(self, control: Control, seed: int, /) -> Prepared[Truth]:
        """Plant the project with what is broken in it."""
        sound, _ = sound_project()
        unseen = zones()
        spoiled = broken(sound, self.difficulty, seed)
        programs = {name: program(name) for name in PROGRAMS}
        planted = {name: text.encode() for name, text in spoiled.items()} | programs
        await plant_all(control, PROJECT, planted)
        await control.plant(PACKED, packed(programs))
        fixed = ("data/", "tests/", "docs/", "CHANGES", *PROGRAMS)
        truth = Truth(
            fault=first_fault(spoiled),
            right=_totals(sound),
            unseen=unseen,
            unseen_right=_totals(sound | {DATA: unseen}),
            kept={name: data for name, data in planted.items() if name.startswith(fixed)},
            tests={name: text for name, text in sound.items() if name.startswith(("tests/", "CHANGES"))},
        )
        return Prepared(secret=truth, site=_site(spoiled))


def first_fault(files: Files) -> str:
    """Say what stops the build; nothing where it goes through."""
    try:
        built(files)
    except Fault as fault:
        return str(fault)
    return ""


def _totals(files: Files) -> Mapping[str, Any]:
    totals = built(files)["zones"]
    assert isinstance(totals, dict)
    return totals


def _site(files: Files) -> Site:
    sources = [name for name in files if name.startswith("src/") and "2029" not in name]
    return Site(
        files=tuple(PROJECT / name for name in ("build.py", "schema.conf", *sources)),
        outputs=(PROJECT / "dist",),
        locks=(PROJECT / "run" / "build.lock",),
        modules={PROJECT / "tariff.py": PACKED},
        documents=(PROJECT / "README.md", PROJECT / "docs" / "tariff.md"),
        inputs={PROJECT / DATA: PROJECT / KEPT},
        workplace=PROJECT,
        guards=tuple(PROJECT / name for name in files if name.startswith("tests/")),
    )
