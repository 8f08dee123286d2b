"""The agent's handle with a witness: whatever a scaffold does through it is kept, however it does it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scenarios.behaviours import Act

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import PurePosixPath

    from environments import Environment, ExecResult

__all__ = ["WitnessedEnvironment"]


class WitnessedEnvironment:
    """A machine's handle that tells of each thing done with it, once the machine has answered.

    Args:
        env: the handle.
        tell: told of each act.
        step: what number the act has.
        clock: seconds since the agent was let in.
        host: its name, where the machine has several.
    """

    def __init__(
        self,
        env: Environment,
        *,
        tell: Callable[[Act], None],
        step: Callable[[], int],
        clock: Callable[[], float],
        host: str = "",
    ) -> None:
        self._env = env
        self._tell = tell
        self._step = step
        self._clock = clock
        self._host = host

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
        known: dict[str, Any] = {"verb": "exec", "argv": tuple(argv), "data": stdin.decode(errors="replace")}
        try:
            result = await self._env.exec(argv, stdin=stdin, cwd=cwd, timeout_s=timeout_s)
        except BaseException:
            self._told(failed=True, **known)
            raise
        self._told(answer=result.text, failed=not result.ok, **known)
        return result

    async def read(self, path: PurePosixPath) -> bytes:
        """Read a file; see `Environment.read`."""
        known: dict[str, Any] = {"verb": "read", "path": str(path)}
        try:
            data = await self._env.read(path)
        except OSError as fault:
            self._told(answer=f"{path}: {fault.strerror}", failed=True, **known)
            raise
        self._told(answer=data.decode(errors="replace"), **known)
        return data

    async def write(self, path: PurePosixPath, data: bytes) -> None:
        """Write a file; see `Environment.write`."""
        known: dict[str, Any] = {"verb": "write", "path": str(path), "data": data.decode(errors="replace")}
        try:
            await self._env.write(path, data)
        except OSError as fault:
            self._told(answer=f"{path}: {fault.strerror}", failed=True, **known)
            raise
        self._told(**known)

    def _told(self, **known: Any) -> None:
        self._tell(Act(step=self._step(), at=round(self._clock(), 3), host=self._host, **known))

    def __getattr__(self, name: str) -> Any:
        """What one kind of machine has beyond the others."""
        return getattr(self._env, name)
