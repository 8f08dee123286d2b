"""A tool made of a function and the pydantic model of its arguments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from pydantic import BaseModel

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from environments import Environment
    from scaffold.protocols import ToolGroup
    from scaffold.types import ToolOutcome

__all__ = ["FunctionTool"]

Arguments = TypeVar("Arguments", bound=BaseModel)


@dataclass(frozen=True, kw_only=True)
class FunctionTool(Generic[Arguments]):
    """Fulfils `Tool` with one async function `(arguments, env) -> ToolOutcome`."""

    name: str
    group: ToolGroup
    description: str
    arguments: type[Arguments]
    function: Callable[[Arguments, Environment], Awaitable[ToolOutcome]]

    async def run(self, arguments: BaseModel, env: Environment, /) -> ToolOutcome:
        """Act on the machine."""
        assert isinstance(arguments, self.arguments)
        return await self.function(arguments, env)
