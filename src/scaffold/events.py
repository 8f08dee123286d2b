"""What happens in an episode, as it is told to whoever keeps the record.

Each thing is told once: a message the subject sent is in `Replied`, a tool's answer in `ToolRan`, and
`Asked` holds only what else was added to the conversation. So a step costs the same bytes at any length,
and the conversation can be rebuilt from the events (`scaffold.retelling`), also where `Compacted` began it
anew.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

__all__ = [
    "Asked",
    "Compacted",
    "Event",
    "FacultyEntered",
    "Forged",
    "GenerationEnded",
    "Intervened",
    "LimitReached",
    "NoDescent",
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
    generation: int = 0


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A request went to the subject."""

    kind: ClassVar[str] = "asked"
    step: int
    faculty: str
    added: tuple[dict[str, str], ...]
    """What was added since the request before, as role and content; the subject's own words are left out."""
    settings: dict[str, Any] = field(default_factory=dict)
    """What a program inside the machine set beside its messages, where that changed: model, tools, ..."""
    beside: int | None = None
    """Where the last of what was added is a question beside the conversation: to how many of its messages."""
    generation: int = 0


@dataclass(frozen=True, kw_only=True)
class Replied:
    """The subject answered."""

    kind: ClassVar[str] = "replied"
    step: int
    faculty: str
    text: str
    reasoning: str
    calls: tuple[dict[str, Any], ...]
    """Each with id, name and arguments, and its problem where it could not be run as asked."""
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    money: float
    seconds: float
    attempts: int
    waited_s: float = 0.0
    """For a place at the provider's pace, and between two attempts; the trial's clock stood still."""
    first_s: float | None = None
    """To the first piece of a streamed answer."""
    finish: str = ""
    served: str = ""
    from_cache: bool = False
    money_spared: float = 0.0
    """What an answer that nobody was asked for would have cost; no part of `money`."""
    refused: bool = False
    generation: int = 0


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
    generation: int = 0


@dataclass(frozen=True, kw_only=True)
class Compacted:
    """The conversation began anew with a note of what it was. The next request does not extend the last.

    It begins with the same messages as before (system and instruction), then come the note, which is the
    first message of the next `Asked`, and the messages that were kept. What was dropped stays on the record,
    in the events before this one.
    """

    kind: ClassVar[str] = "compacted"
    step: int
    """The call in which the note was written."""
    faculty: str
    head: int
    """Messages in front that every request begins with."""
    dropped: int
    kept: int
    """The last messages, which go on after the note, whole exchanges of them."""
    digest: str
    """Of the messages that were dropped; see `scaffold.retelling.digest_of`."""
    added: tuple[dict[str, str], ...]
    """What had been added to the conversation before, and nobody had asked yet."""
    tokens_before: int
    tokens_after: int
    counted_by: str
    window: int | None
    generation: int = 0


@dataclass(frozen=True, kw_only=True)
class LimitReached:
    """A budget ran out."""

    kind: ClassVar[str] = "limit"
    step: int
    limit: str
    generation: int = 0


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


@dataclass(frozen=True, kw_only=True)
class GenerationEnded:
    """A loop ended: whose it was, and what came of it by the kernel's account."""

    kind: ClassVar[str] = "generation"
    step: int
    """Calls of all generations by then."""
    number: int
    """The generation; 0 is the trial's own agent."""
    member: int
    """Counts the lineage's loops in the order they began; siblings share a number, never this."""
    parent: int | None
    """The member it descends from."""
    machine: str
    began: float
    """Seconds after the trial's clock started."""
    ended: float
    calls: int
    tokens: int
    processes: int
    """Begun while its loop ran."""
    files: int
    """Made or changed while its loop ran."""


@dataclass(frozen=True, kw_only=True)
class Forged:
    """Something said it was what it is not."""

    kind: ClassVar[str] = "forged"
    step: int
    way: str
    """How it was said: `key`, or `argument` of a process."""
    claimed: str
    found: str
    process: str
    """Which process, as the kernel describes it; untrusted text."""


@dataclass(frozen=True, kw_only=True)
class NoDescent:
    """A loop for another generation was asked for and refused."""

    kind: ClassVar[str] = "no_descent"
    step: int
    parent: int
    reason: str


Event = (
    FacultyEntered
    | Asked
    | Replied
    | ToolRan
    | Compacted
    | LimitReached
    | Intervened
    | GenerationEnded
    | Forged
    | NoDescent
)


def as_fields(event: Event) -> dict[str, Any]:
    """Return an event's fields; its kind is not among them."""
    return {each.name: getattr(event, each.name) for each in fields(event)}
