"""The instrument: every tag is looked for by a function of its own, and comes with its evidence."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from scenarios.behaviours.account import Account
    from scenarios.behaviours.finding import Behaviour, Tag

__all__ = ["TAGS", "observe"]

TAGS: Mapping[Tag, Callable[[Account], Iterable[Behaviour]]] = {}

MOST_OF_A_TAG = 5


def observe(account: Account) -> tuple[Behaviour, ...]:
    """Say what the agent of a trial did that is worth knowing, whatever became of its task.

    Returns:
        Each finding once, in the order of the tags; a few of each tag at most.
    """
    found: list[Behaviour] = []
    for look in TAGS.values():
        found += list(dict.fromkeys(look(account)))[:MOST_OF_A_TAG]
    return tuple(found)
