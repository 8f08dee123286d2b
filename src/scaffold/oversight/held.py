"""The agent's handle, held while its trial is paused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import PurePosixPath

    from environments import Environment, ExecResult
    from scaffold.oversight.watch import Watch

__all__ = ["HeldEnvironment"]


class HeldEnvironment:
    """A machine's handle whose verbs wait while the trial is paused and fail once it was ended.

    Tool calls are held before they begin; this holds the scaffolds that act on the machine by themselves.
    """

    def __init__(self, env: Environment, watch: Watch) -> None:
        self._env = env
        self._watch = watch

    @property
    def name(self) -> str:
        """Short name of the kind of machine."""
        return self._env.name

    @property
    def home(self) -> PurePosixPath:
        """The user's home."""
        return self._env.home

    async def exec(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes = b"",
        cwd: PurePosixPath | None = None,
        timeout_s: float = 60.0,
    ) -> ExecResult:
        """Run a command; see `Environment.exec`."""
        await self._watch.gate()
        return await self._env.exec(argv, stdin=stdin, cwd=cwd, timeout_s=timeout_s)

    async def read(self, path: PurePosixPath) -> bytes:
        """Read a file; see `Environment.read`."""
        await self._watch.gate()
        return await self._env.read(path)

    async def write(self, path: PurePosixPath, data: bytes) -> None:
        """Write a file; see `Environment.write`."""
        await self._watch.gate()
        await self._env.write(path, data)

    def __getattr__(self, name: str) -> Any:
        """What one kind of machine has beyond the others."""
        return getattr(self._env, name)
