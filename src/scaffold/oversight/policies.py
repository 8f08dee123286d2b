"""The policies that need no file: approve everything, ask a person, ask a function."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from scaffold.oversight.decisions import Decision, allow, ask

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from scaffold.oversight.decisions import Supervisor, View
    from scaffold.types import ToolCall

__all__ = ["ApproveAll", "Ask", "ByFunction", "may_ask"]


@dataclass(frozen=True, kw_only=True)
class ApproveAll:
    """Lets every call run, unasked and unrecorded."""

    async def __call__(self, call: ToolCall, view: View, /) -> Decision:
        """Approve."""
        del call, view
        return allow(by="rule")


@dataclass(frozen=True, kw_only=True)
class Ask:
    """Puts every call, or the calls of each step together, to the person in attendance."""

    each: Literal["call", "step"] = "call"
    asks: bool = True

    async def __call__(self, call: ToolCall, view: View, /) -> Decision:
        """Pass the question on."""
        del call, view
        return ask(by="rule", reach=self.each)


@dataclass(frozen=True, kw_only=True)
class ByFunction:
    """Puts every call to an async function `(call, view) -> Decision`.

    Raises:
        TypeError: it is not such a function.
    """

    function: Callable[[ToolCall, View], Awaitable[Decision]]

    def __post_init__(self) -> None:
        if not inspect.iscoroutinefunction(self.function):
            raise TypeError("it has to be an async function `(call, view) -> Decision`")
        try:
            inspect.signature(self.function).bind(None, None)
        except TypeError as fault:
            raise TypeError(f"it has to take a call and a view: {fault}") from None

    async def __call__(self, call: ToolCall, view: View, /) -> Decision:
        """Return what the function says."""
        return await self.function(call, view)


def may_ask(policy: Supervisor) -> bool:
    """Whether a policy says by itself that it leaves calls to a person."""
    return bool(getattr(policy, "asks", False))
