"""Finds the host that a name stands for."""

from __future__ import annotations

import difflib
from contextlib import asynccontextmanager
from importlib import import_module
from typing import TYPE_CHECKING

from environments.errors import Unavailable
from environments.hosting.here import HERE

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from environments.hosting.protocols import Host

__all__ = ["host_of"]

_KINDS = {
    "ssh": ("environments.hosting.over_ssh", "ssh_host_at"),
    "vm": ("environments.hosting.in_vm", "vm_host_at"),
}
"""What is loaded when it is asked for, because it takes its time."""


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
    kind = name.partition(":")[0]
    if kind not in _KINDS:
        raise _unknown(name)
    module, opens = _KINDS[kind]
    async with getattr(import_module(module), opens)(name) as host:
        yield host


def _unknown(name: str) -> Unavailable:
    near = difflib.get_close_matches(name.partition(":")[0], ("here", *_KINDS), n=1)
    mend = f"did you mean {near[0]}?" if near else "write ssh://USER@HOST:PORT, vm:IMAGE, or here"
    return Unavailable(f"{name} is no host for a program", mend=mend)
