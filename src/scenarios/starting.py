"""Starting what a world is made of, and waiting until it is there."""

from __future__ import annotations

import asyncio
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from scenarios.errors import PrepareFailed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from environments import Control

__all__ = ["NOWHERE", "set_times", "until"]

LIMIT_S = 60.0
NOWHERE = PurePosixPath("/dev/null")


async def until(met: Callable[[], Awaitable[bool]], what: str, *, limit_s: float = LIMIT_S) -> None:
    """Wait for something to become true.

    Raises:
        PrepareFailed: it did not in time; `what` says what was waited for.
    """
    try:
        async with asyncio.timeout(limit_s):
            while not await met():  # noqa: ASYNC110 -- nothing on a machine tells us
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise PrepareFailed(f"{what}: not so after {limit_s:.0f} s") from None


async def set_times(control: Control, times: Mapping[PurePosixPath, int], cwd: PurePosixPath) -> None:
    """Set when files were last read and written, in seconds since the epoch, as the machine's user may.

    Raises:
        PrepareFailed: they do not have these times after a while.
    """
    for path, stamp in times.items():
        await control.launch(["touch", "-d", f"@{stamp}", str(path)], cwd=cwd, log=NOWHERE)

    async def all_set() -> bool:
        facts = [await control.walk(path, most=1) for path in times]
        return all(
            fact and int(fact[0].accessed) == stamp for fact, stamp in zip(facts, times.values(), strict=True)
        )

    await until(all_set, f"the time stamps of {len(times)} files are set")
