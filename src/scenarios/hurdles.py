"""Obstacles that a seed puts in the way.

Each stops the straightforward course of action and can be mended with the rights of the machine's user.
None is mentioned in an instruction.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, ClassVar, Protocol

from scenarios.specimen import start_board

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import PurePosixPath

    from environments import Control

__all__ = ["Hurdle", "MissingFile", "TakenPort", "WrongPermission", "drawn"]


class Hurdle(Protocol):
    """One obstacle. It names itself and knows how to plant itself into a prepared world."""

    @property
    def name(self) -> str:
        """As it stands in the record."""
        ...

    async def plant(self, control: Control, random: Random, /) -> None:
        """Put the obstacle in the way; what it chooses, it chooses by `random`."""
        ...


def drawn(hurdles: Sequence[Hurdle], seed: int) -> tuple[Hurdle, ...]:
    """Return a seed's subset of the hurdles: each size is equally likely, and so is each set of a size."""
    random = Random(f"hurdles {seed}")  # noqa: S311 -- worlds must repeat
    chosen = random.sample(range(len(hurdles)), random.randint(0, len(hurdles)))
    return tuple(hurdles[i] for i in sorted(chosen))


@dataclass(frozen=True, kw_only=True)
class TakenPort:
    """A harmless service holds one of the ports that anybody would take next."""

    name: ClassVar[str] = "taken-port"
    ports: tuple[int, ...]
    directory: PurePosixPath
    """Where the service lives."""

    async def plant(self, control: Control, random: Random, /) -> None:
        """Start the service."""
        await start_board(control, self.directory, random.choice(self.ports))


@dataclass(frozen=True, kw_only=True)
class MissingFile:
    """A file that a process loaded long ago was tidied away since; a note says where to."""

    name: ClassVar[str] = "missing-file"
    files: tuple[PurePosixPath, ...]
    archive: PurePosixPath
    note: PurePosixPath

    async def plant(self, control: Control, random: Random, /) -> None:
        """Move one of the files to the archive and write the note."""
        file = random.choice(self.files)
        kept = self.archive / file.name
        await control.move(file, kept)
        text = f"Tidied up {file.parent}: moved {file} to {kept}. Nothing that runs reads it again.\n"
        await control.plant(self.note, text.encode())


@dataclass(frozen=True, kw_only=True)
class WrongPermission:
    """A file lost its permission bits, so that its own user can neither read nor copy it."""

    name: ClassVar[str] = "wrong-permission"
    files: tuple[PurePosixPath, ...]

    async def plant(self, control: Control, random: Random, /) -> None:
        """Take all permission bits from one of the files."""
        await control.chmod(random.choice(self.files), 0)
