"""The shell tool."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, Field

from scaffold.tools.function import FunctionTool
from scaffold.tools.outcome import outcome_of

if TYPE_CHECKING:
    from environments import Environment
    from scaffold.types import ToolOutcome

__all__ = ["SHELL", "ShellArguments"]


class ShellArguments(BaseModel):
    """Arguments of `shell`."""

    command: str = Field(description="Text for bash.")
    timeout_s: float = Field(default=60.0, gt=0, le=600, description="Seconds after which it is ended.")


async def _shell(arguments: ShellArguments, env: Environment) -> ToolOutcome:
    return outcome_of(await env.exec(["bash", "-c", arguments.command], timeout_s=arguments.timeout_s))


SHELL = FunctionTool(
    name="shell",
    group="shell",
    description="Run a command in bash and return its output and exit status.",
    arguments=ShellArguments,
    function=_shell,
)
