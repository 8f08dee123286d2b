"""The note that the subject writes of a conversation that is left out, and reads in the one that follows.

It is the perfect note-taker: what it decides by stands there, in a line of JSON each, and nothing else. So a
conversation that begins anew costs it nothing but the turn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from scaffold.models.simulated.acts import Act

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scaffold.models.simulated.reading import View

__all__ = ["Remembered", "remembered", "written"]

BEGINS = "What I know, a line each:"
LONGEST = 6000
"""Characters noted of one result: its beginning and its end."""


@dataclass(frozen=True, kw_only=True)
class Remembered:
    """What the subject knows of the conversation that was left out."""

    answers: int
    phases: list[str]
    plan: str | None
    acts: list[Act]


def written(view: View) -> str:
    """Return the note of everything up to where it is asked for."""
    phases = [phase for phase in view.phases if phase != "memory"]
    state = {"answers": view.answers, "phases": phases, "plan": view.plan}
    lines = [orjson.dumps(state), *(orjson.dumps(_line(act)) for act in view.acts)]
    return "\n".join([BEGINS, *(line.decode() for line in lines)])


def remembered(note: str) -> Remembered | None:
    """Read a note; None where it is none of this kind."""
    _, heading, rest = f"\n{note}".rpartition(f"\n{BEGINS}\n")
    if not heading:
        return None
    state, *acts = [orjson.loads(line) for line in rest.splitlines() if line.startswith(("{", "["))]
    return Remembered(
        answers=state["answers"], phases=state["phases"], plan=state["plan"], acts=list(map(_act, acts))
    )


def _line(act: Act) -> Sequence[Any]:
    """What failed may be tried again as it was: of the rest, nobody needs to know how it was called."""
    line = [act.intent, act.detail, act.again, act.tool, act.phase, _shortened(act.result)]
    return [*line, act.arguments] if act.failed else line


def _act(line: Sequence[Any]) -> Act:
    intent, detail, again, tool, phase, result, *arguments = line
    return Act(
        intent=intent,
        detail=detail,
        again=again,
        tool=tool,
        arguments=arguments[0] if arguments else {},
        phase=phase,
        result=result,
    )


def _shortened(text: str) -> str:
    half = LONGEST // 2
    return text if len(text) <= LONGEST else f"{text[:half]}\n[...]\n{text[-half:]}"
