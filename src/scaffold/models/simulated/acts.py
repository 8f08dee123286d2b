"""What the subject did, as it knows it from the conversation."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Act"]

FAILED = re.compile(r"\[exit status \d+\]|\[ended after|\[it has already ended\]")


@dataclass(kw_only=True)
class Act:
    """One call the subject made, the words it said with it, and what came of it."""

    intent: str
    detail: str
    again: str | None
    """The trouble in spite of which it was repeated."""
    tool: str
    arguments: Mapping[str, Any]
    phase: int
    """How many phases had begun."""
    result: str = ""

    @property
    def failed(self) -> bool:
        """Whether the result says so, in the words of the built-in tools."""
        return FAILED.search(self.result) is not None
