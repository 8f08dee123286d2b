"""What a drill may put into a machine before it begins, and look at after each attempt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from environments.drill.attempt import Attempt
    from environments.types import Lease

__all__ = ["Furnished", "Furnishing"]


class Furnished(Protocol):
    """Something that stands in one machine."""

    facts: dict[str, str]
    """What attempts are told of it."""

    async def signs(self, attempt: Attempt, word: str) -> list[str]:
        """Return what tells that an attempt got out by it."""
        ...


class Furnishing(Protocol):
    """Puts it into a machine for as long as the block lasts."""

    def __call__(self, lease: Lease) -> AbstractAsyncContextManager[Furnished]:
        """Furnish a machine that nobody has used yet."""
        ...
