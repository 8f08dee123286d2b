"""What a subject's tokens cost."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["FREE", "Price"]


@dataclass(frozen=True, kw_only=True)
class Price:
    """Prices for a million tokens, in whichever currency the budget is meant in."""

    prompt_per_million: float
    completion_per_million: float
    cached_per_million: float | None = None
    """Of prompt tokens found in the server's prefix cache; None where they cost the same."""

    def of(self, *, prompt: int, completion: int, cached: int = 0) -> float:
        """Return the money for so many tokens; `cached` is the part of `prompt` found in the cache."""
        per_cached = self.prompt_per_million if self.cached_per_million is None else self.cached_per_million
        return (
            (prompt - cached) * self.prompt_per_million
            + cached * per_cached
            + completion * self.completion_per_million
        ) / 1e6


FREE = Price(prompt_per_million=0.0, completion_per_million=0.0)
