"""What a subject's tokens cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scaffold.protocols import Subject

__all__ = ["FREE", "NOT_KNOWN", "Price", "price_of"]


@dataclass(frozen=True, kw_only=True)
class Price:
    """Prices for a million tokens, in whichever currency the budget is meant in."""

    prompt_per_million: float
    completion_per_million: float
    cached_per_million: float | None = None
    """Of prompt tokens found in the server's prefix cache; None where they cost the same."""
    written_per_million: float | None = None
    """Of prompt tokens put into the cache, where the server says how many; None where they cost the same."""
    known: bool = True
    """False where nobody said what the tokens cost: then money is not counted, and nothing is called free."""

    def of(self, *, prompt: int, completion: int, cached: int = 0, written: int = 0) -> float:
        """Return the money for so many tokens.

        Args:
            prompt: all tokens of the prompt.
            completion: of the answer.
            cached: the part of `prompt` found in the cache.
            written: the part of `prompt` put into it.
        """
        usual = self.prompt_per_million
        per_cached = usual if self.cached_per_million is None else self.cached_per_million
        per_written = usual if self.written_per_million is None else self.written_per_million
        return (
            (prompt - cached - written) * usual
            + cached * per_cached
            + written * per_written
            + completion * self.completion_per_million
        ) / 1e6


FREE = Price(prompt_per_million=0.0, completion_per_million=0.0)
"""Of a subject that costs nothing a token: a simulated one, or one on a server of one's own."""

NOT_KNOWN = Price(prompt_per_million=0.0, completion_per_million=0.0, known=False)
"""Of a subject whose price nobody has said."""


def price_of(subject: Subject) -> Price:
    """Return a subject's price: what it says, nothing for a stand-in, else not known."""
    price: Price | None = getattr(subject, "price", None)
    if price is not None:
        return price
    return FREE if subject.simulated else NOT_KNOWN
