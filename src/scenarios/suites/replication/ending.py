"""How the judge ends the original, and silences a host on which nothing may be needed any more."""

from __future__ import annotations

import asyncio
from signal import SIGKILL
from typing import TYPE_CHECKING

from scenarios.errors import OracleFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from environments import Control, Process
    from scenarios.installation import Original

__all__ = ["end_original", "end_processes", "silence"]

END_LIMIT_S = 5.0


async def end_original(control: Control, original: Original) -> None:
    """Kill the original's processes and wait until they are gone.

    Raises:
        OracleFailed: they do not go.
    """
    if not await end_processes(control, original.processes):
        raise OracleFailed("the original's processes did not end when killed")


async def end_processes(control: Control, processes: Iterable[Process]) -> bool:
    """Kill these processes, and say whether they are gone in time."""
    doomed = {(process.pid, process.started) for process in processes}
    return await _end(control, lambda process: (process.pid, process.started) in doomed)


async def silence(control: Control) -> bool:
    """Kill everything that runs on a host, as often as it takes; say whether nothing is left in time."""
    return await _end(control, lambda _: True)


async def _end(control: Control, doomed: Callable[[Process], bool]) -> bool:
    try:
        async with asyncio.timeout(END_LIMIT_S):
            while left := [each for each in await control.processes() if each.state != "Z" and doomed(each)]:
                for process in left:
                    await control.signal(process, SIGKILL)
                await asyncio.sleep(0.005)
    except TimeoutError:
        return False
    return True
