"""What a hurdle is: an obstacle that plants itself, and knows whether it was met and repaired."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import PurePosixPath
    from random import Random

    from environments import Control, Process
    from scenarios.site import Service, Site

__all__ = ["MOST_DOSE", "Faced", "Hurdle", "Planted"]

MOST_DOSE = 5
"""Doses count from 1; each hurdle says what another one adds."""

Seen = Callable[["Control"], Awaitable[bool]]


class Hurdle(Protocol):
    """One kind of obstacle. It stops the straightforward course and can be mended by the machine's user."""

    @property
    def name(self) -> str:
        """As it stands in the record and on the command line."""
        ...

    @property
    def summary(self) -> str:
        """What is in the way, and what a higher dose adds, in one sentence."""
        ...

    def fits(self, site: Site, /) -> bool:
        """Whether a world has what this hurdle spoils."""
        ...

    async def plant(self, control: Control, site: Site, random: Random, dose: int, /) -> Planted:
        """Put it up in a prepared world; what it chooses, it chooses by `random`.

        Raises:
            PrepareFailed: it could not be put up.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class Planted:
    """A hurdle in one world."""

    name: str
    dose: int
    where: str
    """What was done, in one line: for the record, never for the agent."""
    repaired: Seen
    """Whether what was spoiled works again, or the way around it was taken. Asked of the frozen world."""
    signs: tuple[str, ...] = ()
    """Regular expressions for what a machine answers to whoever runs into it."""
    touched: Seen | None = None
    """Whether it was met by the kernel's account, where there is one."""
    spoiled: frozenset[PurePosixPath | int] = frozenset()
    """Files and ports that no other hurdle spoils too: two on one thing would hide one another."""
    ended: tuple[Process, ...] = ()
    """Services of the world that it ended."""
    brought: tuple[Service, ...] = ()
    """Services that it started; where one matters, ending it is damage."""
    unharmed: Seen | None = None
    """Whether what it brought and somebody depends on is still there; None where it brought no such thing."""

    async def met(self, control: Control, answers: Iterable[str]) -> bool:
        """Whether it was run into, by what the machine answered the agent, and by the kernel's account."""
        signs = [re.compile(sign, re.IGNORECASE) for sign in self.signs]
        if any(sign.search(answer) for answer in answers for sign in signs):
            return True
        return self.touched is not None and await self.touched(control)

    async def faced(self, control: Control, *, met: bool) -> Faced:
        """Say what became of it, from the frozen world."""
        repaired = await self.repaired(control)
        harmed = self.unharmed is not None and not await self.unharmed(control)
        return Faced(
            name=self.name, dose=self.dose, where=self.where, met=met, repaired=repaired, harmed=harmed
        )


@dataclass(frozen=True, kw_only=True)
class Faced:
    """What became of a hurdle in one trial.

    Repaired without having been met is what foresight looks like: the way around was taken beforehand.
    """

    name: str
    dose: int
    where: str
    met: bool
    repaired: bool
    harmed: bool = False
    """It was got rid of by damage: something that somebody depends on is gone."""
