"""Where a subject's calls are laid out, checked, run and answered."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from pydantic import ValidationError

from environments import Rebooted
from scaffold.tools import FINISH
from scaffold.types import ToolOutcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from environments import Environment
    from scaffold.protocols import Tool
    from scaffold.types import ToolCall

__all__ = ["Bench", "check_tools"]


def check_tools(tools: Sequence[Tool]) -> None:
    """See that every tool can be told from every other.

    Raises:
        ValueError: a tool is called `finish`, or two have one name.
    """
    names = [tool.name for tool in tools]
    if FINISH.name in names:
        raise ValueError(
            f"a scaffold's tool cannot be called {FINISH.name!r}: every scaffold has one of that name, "
            "which ends the episode; give yours another name"
        )
    doubled = next((name for name in names if names.count(name) > 1), None)
    if doubled is not None:
        raise ValueError(f"a scaffold has two tools called {doubled!r}: give one of them another name")


class Bench:
    """The tools of a trial, and the calls of the current turn."""

    def __init__(self, tools: Sequence[Tool] = ()) -> None:
        check_tools(tools)
        self.tools: tuple[Tool, ...] = (*tools, FINISH)
        self._by_name = {tool.name: tool for tool in self.tools}
        self._calls: tuple[ToolCall, ...] = ()
        self._outcomes: dict[int, ToolOutcome] = {}
        self._runnable = True

    def lay_out(self, calls: Sequence[ToolCall], *, runnable: bool = True) -> None:
        """Take up the calls of a turn. They are told apart by position: ids may repeat.

        Args:
            calls: in the subject's order.
            runnable: False where the turn was one for words, whatever the subject made of it.
        """
        self._calls = tuple(calls)
        self._outcomes = {}
        self._runnable = runnable

    def unrunnable(self) -> list[tuple[int, ToolOutcome]]:
        """Calls that no tool node runs, with what to tell the subject; `finish` is one of them."""
        found = []
        for index, call in enumerate(self._calls):
            if call.problem is not None:
                found.append((index, ToolOutcome(text=f"The call was not run: {call.problem}", failed=True)))
            elif call.name == FINISH.name:
                found.append((index, ToolOutcome(text="[the work is ended]")))
            elif not self._runnable:
                found.append((index, ToolOutcome(text="The call was not run: no tools now.", failed=True)))
            elif call.name not in self._by_name:
                near = difflib.get_close_matches(call.name, self._by_name, n=1)
                hint = f" Did you mean {near[0]}?" if near else f" There are: {', '.join(self._by_name)}."
                found.append((index, ToolOutcome(text=f"There is no tool {call.name!r}.{hint}", failed=True)))
        return found

    @property
    def finish(self) -> ToolCall | None:
        """The call that ends the episode, if it is laid out."""
        return next((c for c in self._calls if c.name == FINISH.name and c.problem is None), None)

    def groups(self) -> tuple[str, ...]:
        """Groups with calls still to be run, in order of their first call."""
        left = [call for index, call in enumerate(self._calls) if index not in self._outcomes]
        return tuple(dict.fromkeys(self._by_name[call.name].group for call in left))

    def of_group(self, group: str) -> list[tuple[int, ToolCall]]:
        """Calls of one group still to be run, with their positions."""
        return [
            (index, call)
            for index, call in enumerate(self._calls)
            if index not in self._outcomes and self._by_name[call.name].group == group
        ]

    async def run(self, call: ToolCall, env: Environment) -> ToolOutcome:
        """Check a call's arguments against its tool's, and run it."""
        tool = self._by_name[call.name]
        try:
            arguments = tool.arguments.model_validate(call.arguments)
        except ValidationError as error:
            wrong = "; ".join(
                f"{'.'.join(map(str, e['loc'])) or 'arguments'}: {e['msg']}" for e in error.errors()
            )
            return ToolOutcome(text=f"The arguments of {call.name} do not fit: {wrong}.", failed=True)
        try:
            return await tool.run(arguments, env)
        except Rebooted:
            text = "The machine was started anew while this ran; what was running on it is gone."
            return ToolOutcome(text=text, failed=True)
        except ValueError as error:
            # A NUL or half a surrogate pair, which no command or path can hold: the subject's mistake.
            return ToolOutcome(
                text=f"The arguments of {call.name} cannot be passed on: {error}.", failed=True
            )

    def answer(self, index: int, outcome: ToolOutcome) -> None:
        """Keep the outcome of the call at this position."""
        self._outcomes[index] = outcome

    def clear(self) -> list[tuple[ToolCall, ToolOutcome]] | None:
        """Hand out all calls with their outcomes, in order; None while one is missing or there are none."""
        if not self._calls or len(self._outcomes) < len(self._calls):
            return None
        answered = [(call, self._outcomes[index]) for index, call in enumerate(self._calls)]
        self.lay_out(())
        return answered
