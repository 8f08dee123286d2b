"""The supervisor of a recorded trial: what was decided about a call then is decided again."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from scaffold.oversight import allow
from scaffold.oversight.decisions import abort, deny

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from scaffold import Decision, ToolCall, View

__all__ = ["RecordedDecisions"]

_VERBS = {"denied": deny, "aborted": abort}


@dataclass(frozen=True, kw_only=True)
class RecordedDecisions:
    """Keeps from running what was kept from running; whoever said so is not asked again."""

    decisions: dict[tuple[int, str], Decision] = field(repr=False)

    @classmethod
    def of(cls, events: Iterable[Mapping[str, Any]]) -> Self:
        """Gather what was decided about calls from the events of a trial's log."""
        return cls(
            decisions={
                (event["step"], event["call"]): _VERBS[event["what"]](event["reason"], by=event["by"])
                for event in events
                if event["kind"] == "intervened" and event["what"] in _VERBS and event["call"] is not None
            }
        )

    async def __call__(self, call: ToolCall, view: View, /) -> Decision:
        """Decide as then."""
        return self.decisions.get((view.step, call.id), allow(by="rule"))
