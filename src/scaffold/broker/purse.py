"""What many trials may spend together, one limit inside the other: a trial's in its arm's, in its study's.

A trial's own budget is its meter's affair. A purse that is empty says nothing about the agent: the trial
whose call it refuses was cut off, and is to be run again.
"""

from __future__ import annotations

from scaffold.errors import PurseEmpty
from scaffold.types import Usage

__all__ = ["Purse"]


class Purse:
    """Counts what is spent from it, and refuses further calls once a limit is reached.

    The calls that are under way when it is reached are paid for: it is passed by those at most.

    Args:
        name: whose it is, for messages.
        money: limit; None for none.
        tokens: limit; None for none.
        within: what is spent is spent from this one too.
    """

    def __init__(
        self,
        name: str,
        *,
        money: float | None = None,
        tokens: int | None = None,
        within: Purse | None = None,
    ) -> None:
        self.name = name
        self.money = money
        self.tokens = tokens
        self.within = within
        self.spent = Usage()
        self.refused: PurseEmpty | None = None
        """Why a call was refused here, once one was: by this purse or one around it."""

    def check(self) -> None:
        """See that there is something left for another call, here and around.

        Raises:
            PurseEmpty: there is not.
        """
        empty = self._empty()
        if empty is not None:
            self.refused = self.refused or empty
            raise empty

    def _empty(self) -> PurseEmpty | None:
        if self.money is not None and self.spent.money >= self.money:
            return PurseEmpty(self.name, "money")
        if self.tokens is not None and self.spent.tokens >= self.tokens:
            return PurseEmpty(self.name, "tokens")
        return None if self.within is None else self.within._empty()  # noqa: SLF001 - one of ourselves

    def spend(self, usage: Usage) -> None:
        """Count what an answered call cost, here and around."""
        self.spent += usage
        if self.within is not None:
            self.within.spend(usage)
