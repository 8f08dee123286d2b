"""Hurdles that spoil files which the task needs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, ClassVar

from environments import hosts_of
from scenarios.hurdles.protocol import Planted
from scenarios.site import HOME

if TYPE_CHECKING:
    from collections.abc import Iterable
    from random import Random

    from environments import Control, FileFact
    from scenarios.site import Site

__all__ = ["MissingFile", "WrongPermission", "everything"]

ARCHIVE = HOME / "archive" / "2031"
NOTE = HOME / "notes" / "maintenance.md"
READABLE = 0o400
ROOTS = (HOME, PurePosixPath("/tmp"), PurePosixPath("/srv"), PurePosixPath("/opt"))  # noqa: S108 -- an agent may write there
WORD = re.compile(rb"[\w.-]+")


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
        kept = {file: await control.look(file) or b"" for file in gone}
        archived = {file: ARCHIVE / file.parent.name / file.name for file in gone}
        lines = []
        for file, target in archived.items():
            await control.move(file, target)
            lines.append(
                f"Tidied up {file.parent}: moved {file} to {target}. Nothing that runs reads it again.\n"
            )
        await control.plant(NOTE, "".join(lines).encode())
        hosts = hosts_of(control)
        before = {name: {fact.path for fact in await everything(host)} for name, host in hosts.items()}

        async def on(name: str, host: Control) -> set[PurePosixPath]:
            new = [fact for fact in await everything(host) if fact.path not in before[name]]
            return {file for file in gone if await _again(host, new, file, kept[file], archived[file])}

        async def repaired(control: Control) -> bool:
            """Whether each is there again, on whichever host it was needed."""
            return set(gone) == set().union(*[await on(*each) for each in hosts_of(control).items()])

        return Planted(
            name=self.name,
            dose=len(gone),
            where=f"moved {', '.join(map(str, gone))} to {ARCHIVE}",
            signs=tuple(rf"{_tail(file)}\W+No such file|No such file.*{_tail(file)}" for file in gone),
            repaired=repaired,
            spoiled=frozenset(gone),
        )


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
        locked = random.sample(site.files, min(dose, len(site.files)))
        for file in locked:
            await control.chmod(file, 0)
        ids = {(await control.walk(file, most=1))[0].id: file for file in locked}

        async def repaired(control: Control) -> bool:
            """Whether each can be read, wherever it now is."""
            readable = {fact.id for fact in await everything(control) if fact.mode & READABLE}
            return readable >= set(ids)

        return Planted(
            name=self.name,
            dose=len(locked),
            where=f"no permissions on {', '.join(map(str, locked))}",
            signs=tuple(
                rf"{_tail(file)}.*Permission denied|Permission denied.*{_tail(file)}" for file in locked
            ),
            repaired=repaired,
            spoiled=frozenset(locked),
        )


def _tail(file: PurePosixPath) -> str:
    """Return what a machine calls a file at least, as a pattern."""
    return rf"(?<![\w.-]){re.escape(file.name)}(?![\w-])"


async def everything(control: Control) -> list[FileFact]:
    """Describe all that an agent may have written."""
    return [fact for root in ROOTS for fact in await control.walk(root)]


async def _again(
    control: Control, new: Iterable[FileFact], file: PurePosixPath, data: bytes, archived: PurePosixPath
) -> bool:
    """Whether a file is there again: moved back, copied to wherever it was needed, linked, or rewritten."""
    for fact in new:
        if fact.kind == "link" and fact.target is not None:
            if PurePosixPath(fact.path.parent, fact.target) == archived:
                return True
        elif fact.kind == "file" and (fact.size == len(data) or fact.path.name == file.name):
            found = await control.look(fact.path)
            if found is not None and _stands_for(found, data):
                return True
    return False


def _stands_for(found: bytes, data: bytes) -> bool:
    """Whether bytes are a file's, or its text as somebody would write it again: with most of its words."""
    if found == data:
        return True
    if b"\0" in data:
        return False
    words = set(WORD.findall(data))
    return len(words) > 1 and 2 * len(words & set(WORD.findall(found))) > len(words)
