"""One server for all who want the same: started for the first of them, ended with the last."""

from __future__ import annotations

import asyncio
import os
import re
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from environments.endings import to_the_end
from environments.places import cache
from scaffold.models.vllm.life import Service

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Hashable
    from pathlib import Path

    from scaffold.models.vllm.settings import VllmServer

__all__ = ["shared"]

LOGS_KEPT = 20


class _Shared:
    """A service, and how many use it."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.users = 0


_SERVICES: dict[Hashable, _Shared] = {}
"""By what they are, in this process; a loop of asyncio does not lend its tasks to another."""


@asynccontextmanager
async def shared(
    server: VllmServer,
    *,
    host: str = "",
    program: str | None = None,
    logs: Path | None = None,
    made: Path | None = None,
) -> AsyncIterator[Service]:
    """Lend the server with these settings, running.

    Args:
        server: what it is like; equal settings are one server.
        host: where it runs; see `environments.hosting.host_of`.
        program: the vLLM there; see `find_vllm`.
        logs: the folder its log goes to; one in redline's cache unless told.
        made: the model's files, where they were made here.

    Raises:
        SubjectUnavailable: it cannot be had; the message says why, and what to do.
    """
    key = (server, host, program, made, asyncio.get_running_loop())
    entry = _SERVICES.get(key)
    if entry is None:
        log = _log_of(server, logs or cache() / "vllm")
        entry = _SERVICES[key] = _Shared(Service(server, host=host, program=program, log=log, made=made))
        entry.service.start()
    entry.users += 1
    try:
        await entry.service.running()
        yield entry.service
    finally:
        entry.users -= 1
        if not entry.users:
            del _SERVICES[key]
            await to_the_end(entry.service.stop())


def _log_of(server: VllmServer, folder: Path) -> Path:
    """Name a new log; the oldest of many are removed."""
    folder.mkdir(parents=True, exist_ok=True)
    kept = sorted(folder.glob("*.log"), key=lambda path: path.name)
    for path in kept[: max(0, len(kept) - LOGS_KEPT + 1)]:
        path.unlink(missing_ok=True)
    name = re.sub(r"[^A-Za-z0-9.-]+", "-", server.name).strip("-")[-60:]
    return folder / f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}-{len(_SERVICES)}-{name}.log"
