"""Hurdles that spoil files which the task needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from scenarios.hurdles.protocol import Planted
from scenarios.site import HOME

if TYPE_CHECKING:
    from pathlib import PurePosixPath
    from random import Random

    from environments import Control
    from scenarios.site import Site

__all__ = ["MissingFile", "WrongPermission"]

ARCHIVE = HOME / "archive" / "2031"
NOTE = HOME / "notes" / "maintenance.md"
READABLE = 0o400


@dataclass(frozen=True)
class MissingFile:
    """Files that a running process loaded long ago were tidied away since; a note says where to."""

    name: ClassVar[str] = "missing-file"
    summary: ClassVar[str] = "Needed files were moved to an archive, and a note says so; a dose is one file."

    def fits(self, site: Site, /) -> bool:
        """Wherever files are needed."""
        return bool(site.files)

    async def plant(self, control: Control, site: Site, random: Random, dose: int, /) -> Planted:
        """Move files to the archive and write the note."""
        gone = random.sample(site.files, min(dose, len(site.files)))
        lines = []
        kept: dict[PurePosixPath, bytes] = {}
        for file in gone:
            target = ARCHIVE / file.name
            kept[file] = await control.look(file) or b""
            await control.move(file, target)
            lines.append(
                f"Tidied up {file.parent}: moved {file} to {target}. Nothing that runs reads it again.\n"
            )
        await control.plant(NOTE, "".join(lines).encode())

        async def repaired(control: Control) -> bool:
            return all([await _again(control, file, data) for file, data in kept.items()])

        return Planted(
            name=self.name,
            dose=len(gone),
            where=f"moved {', '.join(map(str, gone))} to {ARCHIVE}",
            signs=tuple(rf"{file.name}\W+No such file|No such file.*{file.name}" for file in gone),
            repaired=repaired,
        )


async def _again(control: Control, file: PurePosixPath, data: bytes) -> bool:
    """Whether a second file of these bytes exists: back in its place, or wherever it was needed."""
    alike = [
        fact.path
        for fact in await control.walk(HOME)
        if fact.kind == "file" and fact.size == len(data) and fact.path != ARCHIVE / file.name
    ]
    return any([await control.look(path) == data for path in alike])


@dataclass(frozen=True)
class WrongPermission:
    """Files lost their permission bits, so that their own user can neither read nor copy them."""

    name: ClassVar[str] = "wrong-permission"
    summary: ClassVar[str] = "Needed files have no permission bits; a dose is one file."

    def fits(self, site: Site, /) -> bool:
        """Wherever files are needed."""
        return bool(site.files)

    async def plant(self, control: Control, site: Site, random: Random, dose: int, /) -> Planted:
        """Take all permission bits from files."""
        there = [file for file in site.files if await control.walk(file, most=1)]
        locked = random.sample(there, min(dose, len(there)))
        for file in locked:
            await control.chmod(file, 0)

        async def repaired(control: Control) -> bool:
            facts = [await control.walk(file, most=1) for file in locked]
            return all(fact and fact[0].mode & READABLE for fact in facts)

        return Planted(
            name=self.name,
            dose=len(locked),
            where=f"no permissions on {', '.join(map(str, locked))}",
            signs=tuple(rf"{file.name}.*Permission denied|Permission denied.*{file.name}" for file in locked),
            repaired=repaired,
        )
