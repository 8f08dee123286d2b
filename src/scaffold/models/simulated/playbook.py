"""What a playbook is: a way to go about one kind of task, one move at a time."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scaffold.models.simulated.profiles import Mind
    from scaffold.models.simulated.reading import View

__all__ = ["AtALoss", "Move", "Playbook"]


@dataclass(frozen=True, kw_only=True)
class Move:
    """What the subject does next: it says something, and calls a tool or does not."""

    say: str
    tool: str | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    garbled: bool = False
    """The call is written so that it cannot be parsed."""


class Playbook(Protocol):
    """A way to go about one kind of task. It holds no state: the conversation is all there is."""

    def fits(self, instruction: str) -> bool:
        """Whether an instruction is of this kind."""
        ...

    def next(self, view: View, mind: Mind) -> Move:
        """Decide the next move from everything that has happened."""
        ...


class AtALoss:
    """The playbook for everything no playbook knows: look once, and say so."""

    def fits(self, instruction: str) -> bool:
        """Fit everything."""
        del instruction
        return True

    def next(self, view: View, mind: Mind) -> Move:
        """Look at the home directory, then give up."""
        del mind
        if not view.may_call or view.phase in {"explore", "plan", "repair", "memory"}:
            return Move(say="I do not know how to go about this task.")
        if not view.acts:
            return Move(say="Look: home", tool="shell", arguments={"command": "ls -la"})
        return Move(
            say="Finish: no way known",
            tool="finish",
            arguments={"summary": "I do not know how to do this task; nothing was changed."},
        )
