"""What happens in an episode, as it is told to whoever keeps the record.

Each thing is told once: a message the subject sent is in `Replied`, a tool's answer in `ToolRan`, and
`Asked` holds only what else was added to the conversation. So a step costs the same bytes at any length,
and the conversation can be rebuilt from the events.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, ClassVar

__all__ = [
    "Asked",
    "Event",
    "FacultyEntered",
    "Intervened",
    "LimitReached",
    "Replied",
    "ToolRan",
    "as_fields",
]


@dataclass(frozen=True, kw_only=True)
class FacultyEntered:
    """Another faculty took over."""

    kind: ClassVar[str] = "faculty"
    step: int
    faculty: str


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A request went to the subject."""

    kind: ClassVar[str] = "asked"
    step: int
    faculty: str
    added: tuple[dict[str, str], ...]
    """Instructions added since the request before, as role and content."""


@dataclass(frozen=True, kw_only=True)
class Replied:
    """The subject answered."""

    kind: ClassVar[str] = "replied"
    step: int
    faculty: str
    text: str
    reasoning: str
    calls: tuple[dict[str, Any], ...]
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    money: float
    seconds: float
    attempts: int


@dataclass(frozen=True, kw_only=True)
class ToolRan:
    """A call was answered."""

    kind: ClassVar[str] = "tool"
    step: int
    id: str
    tool: str
    arguments: dict[str, Any]
    text: str
    failed: bool
    seconds: float


@dataclass(frozen=True, kw_only=True)
class LimitReached:
    """A budget ran out."""

    kind: ClassVar[str] = "limit"
    step: int
    limit: str


@dataclass(frozen=True, kw_only=True)
class Intervened:
    """A supervisor did something about the trial, or let it go on after a look."""

    kind: ClassVar[str] = "intervened"
    step: int
    what: str
    """`allowed`, `denied`, `paused`, `stepped`, `aborted`, or `ended` for a reason of the study's own."""
    by: str
    """`rule`, `person` or `function`."""
    reason: str
    seconds: float
    """That the trial waited for it; its clock stood still meanwhile."""
    call: str | None
    """Id of the call it was about."""
    tool: str | None


Event = FacultyEntered | Asked | Replied | ToolRan | LimitReached | Intervened


def as_fields(event: Event) -> dict[str, Any]:
    """Return an event's fields; its kind is not among them."""
    return {field.name: getattr(event, field.name) for field in fields(event)}
