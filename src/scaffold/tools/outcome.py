"""How a command's result is told to a subject."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scaffold.types import ToolOutcome

if TYPE_CHECKING:
    from environments import ExecResult

__all__ = ["MOST_CHARACTERS", "outcome_of", "shortened"]

MOST_CHARACTERS = 16_000
"""Of one answer. What a subject reads it pays for, at every later step again."""


def outcome_of(result: ExecResult) -> ToolOutcome:
    """Return output first, then how the command ended where it did not end well."""
    parts = [shortened(result.text, dropped=result.dropped)]
    if result.timed_out:
        parts.append(f"[ended after {result.seconds:.0f} s: it ran out of time]")
    elif result.status != 0:
        parts.append(f"[exit status {result.status}]")
    return ToolOutcome(
        text="\n".join(part.rstrip("\n") for part in parts if part) or "[no output]", failed=not result.ok
    )


def shortened(text: str, *, dropped: int = 0) -> str:
    """Keep the head and the tail of a long text, and say how much is missing in between."""
    if len(text) <= MOST_CHARACTERS and not dropped:
        return text
    half = min(MOST_CHARACTERS, len(text)) // 2
    missing = dropped + max(0, len(text) - 2 * half)
    return f"{text[:half]}\n[... {missing} characters left out ...]\n{text[len(text) - half :]}"
