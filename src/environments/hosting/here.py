"""This host, as the place of the study's own programs."""

from __future__ import annotations

import os
import shlex
import socket
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from environments.attendant import BOOT_COMMAND
from environments.hosting.host import KeepingHost
from environments.pipe import PipeWire

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from environments.hosting.protocols import Host
    from environments.wire import Wire

__all__ = ["HERE"]

_BOOT = (sys.executable, *shlex.split(BOOT_COMMAND)[2:])


class _Here(KeepingHost):
    """Programs have the environment and the folder that redline itself was started in."""

    @property
    def name(self) -> str:
        return "here"

    async def _wire(self) -> Wire:
        return PipeWire(_BOOT)

    async def _cause(self, said: str) -> str:
        del said  # a closed socket, whatever it was
        return "what keeps it was ended"

    def _environ(self) -> Mapping[str, str]:
        return os.environ

    async def free_port(self) -> int:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            return int(free.getsockname()[1])

    @asynccontextmanager
    async def reach(self, port: int) -> AsyncGenerator[int, None]:
        """It is here already; see `Host.reach`."""
        yield port


HERE: Host = _Here()
"""This host."""
