"""The texts a scaffold speaks, each with a digest for the record. They are general: none knows a task."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cache
from importlib import resources

__all__ = ["NAMES", "Prompt", "load"]

NAMES = ("system", "explore", "plan", "execute", "repair", "memory", "note", "nudge", "react")


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """One text. Two prompts with the same digest say the same, word for word."""

    name: str
    text: str
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "digest", hashlib.sha256(self.text.encode()).hexdigest()[:16])


@cache
def load(name: str) -> Prompt:
    """Return one of the built-in texts by name."""
    return Prompt(name=name, text=resources.files(__name__).joinpath(f"{name}.md").read_text().strip())
