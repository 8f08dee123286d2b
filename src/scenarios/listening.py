"""Starting a world's services, and knowing which process holds a port."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scenarios.errors import PrepareFailed
from scenarios.starting import until

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import PurePosixPath

    from environments import Control, Process

__all__ = ["START_LIMIT_S", "holder", "holders", "launched"]

START_LIMIT_S = 60.0


async def launched(
    control: Control, argv: Sequence[str], *, port: int, cwd: PurePosixPath, log: PurePosixPath
) -> Process:
    """Start a service as the machine's user, wait until it listens on its port, and return its process.

    Raises:
        PrepareFailed: it does not come up; what it said last is in the message.
    """
    await control.launch(argv, cwd=cwd, log=log)
    try:
        return await holder(control, port)
    except PrepareFailed as fault:
        said = (await control.look(log) or b"").decode(errors="replace").strip().rpartition("\n")[2]
        raise PrepareFailed(f"{fault}: {said}") from None


async def holder(control: Control, port: int) -> Process:
    """Wait until some process listens on a port, and return it.

    Raises:
        PrepareFailed: nothing does in time.
    """
    found: list[Process] = []

    async def held() -> bool:
        found[:] = await holders(control, port)
        return bool(found)

    await until(held, f"something listens on port {port}", limit_s=START_LIMIT_S)
    return found[0]


async def holders(control: Control, port: int) -> list[Process]:
    """Return every process that listens on a port now."""
    pids = {pid for each in await control.listeners() if each.port == port for pid in each.pids}
    return [process for process in await control.processes() if process.pid in pids] if pids else []
