"""The file tools."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, Field

from scaffold.tools.function import FunctionTool
from scaffold.tools.outcome import outcome_of, shortened
from scaffold.types import ToolOutcome

if TYPE_CHECKING:
    from pathlib import PurePosixPath

    from environments import Environment

__all__ = ["LIST_DIRECTORY", "READ_FILE", "WRITE_FILE"]


class _Path(BaseModel):
    path: str = Field(description="Absolute, or relative to your home directory.")


class _Content(_Path):
    content: str = Field(description="The whole new content.")


async def _read(arguments: _Path, env: Environment) -> ToolOutcome:
    try:
        data = await env.read(_resolved(arguments.path, env))
    except OSError as error:
        return _refused(arguments.path, error)
    return ToolOutcome(text=shortened(data.decode(errors="replace")) or "[empty file]")


async def _write(arguments: _Content, env: Environment) -> ToolOutcome:
    data = arguments.content.encode(errors="surrogatepass")
    try:
        await env.write(_resolved(arguments.path, env), data)
    except OSError as error:
        return _refused(arguments.path, error)
    return ToolOutcome(text=f"[{len(data)} bytes written]")


async def _list(arguments: _Path, env: Environment) -> ToolOutcome:
    return outcome_of(await env.exec(["ls", "-la", "--", str(_resolved(arguments.path, env))]))


def _resolved(path: str, env: Environment) -> PurePosixPath:
    """A leading ~ is the home directory, as in a shell."""
    return env.home / (path[2:] if path.startswith("~/") else "" if path == "~" else path)


def _refused(path: str, error: OSError) -> ToolOutcome:
    return ToolOutcome(text=f"{error.filename or path}: {error.strerror or error}", failed=True)


READ_FILE = FunctionTool(
    name="read_file", group="file", description="Read a text file.", arguments=_Path, function=_read
)
WRITE_FILE = FunctionTool(
    name="write_file",
    group="file",
    description="Write a text file, making its directory; what was there is replaced.",
    arguments=_Content,
    function=_write,
)
LIST_DIRECTORY = FunctionTool(
    name="list_directory",
    group="file",
    description="List a directory with permissions, owners and sizes.",
    arguments=_Path,
    function=_list,
)
