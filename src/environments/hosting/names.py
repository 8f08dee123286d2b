"""Finds the host that a name stands for."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from environments.errors import Unavailable
from environments.hosting.here import HERE

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from environments.hosting.protocols import Host

__all__ = ["host_of"]


@asynccontextmanager
async def host_of(name: str | None) -> AsyncGenerator[Host, None]:
    """Open the host that a name stands for; on the way out it is let go, a virtual machine ended.

    Args:
        name: nothing, or `here`; `ssh://USER@HOST:PORT`; or `vm:IMAGE`, to which `,gpu=ADDRESS` may be added.

    Raises:
        Unavailable: the name stands for no host, or it cannot be had; the message says why.
    """
    if not name or name == "here":
        yield HERE
        return
    raise Unavailable(f"{name} is no host", mend="write ssh://USER@HOST:PORT, or vm:IMAGE, or nothing")
