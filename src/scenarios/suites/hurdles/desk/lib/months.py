"""Which month a part is of."""

from __future__ import annotations

__all__ = ["month_of"]


def month_of(part: str) -> str:
    """Return what a part says on its first line."""
    return part.partition("\n")[0].removeprefix("month ")
