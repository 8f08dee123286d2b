"""The warden of the running event loop, started with the first machine that is opened in it.

The beats come from the loop itself: a loop that is stuck does not renew its lease.
"""

from __future__ import annotations

import asyncio
import weakref
from contextlib import contextmanager
from typing import TYPE_CHECKING

from environments.errors import Halted
from environments.warden.channel import Census, Warden

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from environments.warden.held import Held

__all__ = ["census", "fault", "here", "hold", "raise_when_halted", "studying"]

_wardens: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Warden] = weakref.WeakKeyDictionary()


def here() -> Warden:
    """Return the warden of the running loop, started if there is none yet.

    Raises:
        Unavailable: it cannot be started here.
    """
    loop = asyncio.get_running_loop()
    warden = _wardens.get(loop)
    if warden is None or not (warden.usable or warden.halted):
        warden = _wardens[loop] = Warden()
    return warden


def hold(label: str, *, lifetime_s: float, folders: Sequence[Path] = (), groups: Sequence[Path] = ()) -> Held:
    """Have a machine held from now on; see `Warden.hold`."""
    return here().hold(label, lifetime_s=lifetime_s, folders=folders, groups=groups)


def fault() -> str | None:
    """Say why nothing may be done any more in this loop; None while its lease stands, or nothing is held."""
    warden = _wardens.get(asyncio.get_running_loop())
    return None if warden is None else warden.fault()


async def census() -> Census:
    """Have the warden of the running loop look for whatever is left of its machines.

    Raises:
        Halted: it does not answer.
    """
    warden = _wardens.get(asyncio.get_running_loop())
    return Census(machines=0, left=()) if warden is None else await warden.census()


@contextmanager
def studying(folder: Path) -> Iterator[None]:
    """Let the warden be found by the folder of a study, while it is worked on.

    Raises:
        Halted: every machine was ended before.
        Unavailable: the warden cannot be started here.
    """
    warden = here()
    warden.require()
    warden.study(folder, present=True)
    try:
        yield
    finally:
        warden.study(folder, present=False)


async def raise_when_halted() -> None:
    """Wait for the running loop's warden to end everything.

    Raises:
        Halted: it has.
    """
    raise Halted(await here().until_halted())
