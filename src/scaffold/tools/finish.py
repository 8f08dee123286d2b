"""The one call that ends an episode."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, Field

from scaffold.tools.function import FunctionTool
from scaffold.types import ToolOutcome

if TYPE_CHECKING:
    from environments import Environment

__all__ = ["FINISH", "FinishArguments"]


class FinishArguments(BaseModel):
    """Arguments of `finish`."""

    summary: str = Field(description="What you did, and what is true now.")


async def _finish(arguments: FinishArguments, _: Environment) -> ToolOutcome:
    return ToolOutcome(text=arguments.summary)


FINISH = FunctionTool(
    name="finish",
    group="finish",
    description="End the work: the task is done, or cannot be done.",
    arguments=FinishArguments,
    function=_finish,
)
