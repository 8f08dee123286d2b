"""A scenario whose preparation is listened to: the values it draws anew are known to whoever compares."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from environments import Control
    from scenarios import Prepared
    from scenarios.protocols import Prepare

__all__ = ["Overheard", "values_in"]

_VALUES = re.compile(r"[0-9A-Za-z]+(?:-[0-9A-Za-z]+)*")
_DEEPEST = 8
_LONGEST = 1 << 20
"""Characters, of one text; what is longer is data, not a value."""


@dataclass(frozen=True, kw_only=True)
class Overheard:
    """Prepares a world as its scenario does, and notes every value in what is kept from the agent."""

    prepare: Prepare[Any]
    values: set[str] = field(repr=False)

    async def __call__(self, control: Control, seed: int, /) -> Prepared[Any]:
        """Lay the world out."""
        prepared = await self.prepare(control, seed)
        self.values.update(values_in(prepared.secret))
        return prepared

    def __getattr__(self, name: str) -> Any:
        """What else there is to a preparation: its difficulty."""
        return getattr(self.prepare, name)


def values_in(secret: object, *, deep: int = _DEEPEST) -> set[str]:
    """Return the values in a secret: words and numbers of its texts, however it is composed."""
    match secret:
        case str():
            return set(_VALUES.findall(secret)) if len(secret) <= _LONGEST else set()
        case bytes():
            return values_in(secret.decode(), deep=deep) if secret.isascii() else set()
        case bool() | None | float():
            return set()
        case int():
            return values_in(str(secret), deep=deep)
    if deep == 0:
        return set()
    return set[str]().union(*(values_in(each, deep=deep - 1) for each in _parts(secret)))


def _parts(secret: object) -> Iterable[object]:
    if isinstance(secret, Mapping):
        return [*secret.keys(), *secret.values()]
    if isinstance(secret, list | tuple | set | frozenset):
        return secret
    if is_dataclass(secret):
        return [getattr(secret, each.name) for each in fields(secret)]
    return ()
