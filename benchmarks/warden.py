"""What the warden costs: the same hundred machines at once, held by it and held by nobody.

Nobody holds them only here, in this process, where nothing but `true` runs on them.
"""

from __future__ import annotations

import asyncio
import time
from unittest.mock import patch

from benchmarks.tables import Row, table
from environments.sandbox import Sandbox
from environments.warden import here

__all__ = ["measured"]

_MACHINES = 100
_COMMANDS = 20
_MODEL_S = 0.05
"""Between two commands, as if a model were asked."""


class _Nobody:
    """Takes word of a machine's parts and does nothing about them."""

    def __init__(self, warden: object) -> None:
        self.warden = warden

    def process(self, pid: int, *, namespaces: bool = False) -> None:
        """Take word of a process."""

    async def release(self) -> None:
        """Let go."""


async def _trial() -> None:
    async with Sandbox().open(label="benchmark", seed=0) as lease:
        for _ in range(_COMMANDS):
            await lease.agent.exec(["true"])
            await asyncio.sleep(_MODEL_S)


async def _rate() -> float:
    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(_MACHINES):
            group.create_task(_trial())
    return _MACHINES * _COMMANDS / (time.perf_counter() - began)


async def _pair() -> tuple[float, float]:
    warden = here()
    held = await _rate()
    with patch("environments.sandbox.provider.hold", lambda *_, **__: _Nobody(warden)):
        return held, await _rate()


def measured(times: int = 7) -> str:
    """Return the table; the two are measured in turn."""
    pairs = [asyncio.run(_pair()) for _ in range(times)]
    row = Row(
        what=f"{_MACHINES} machines at once, {_COMMANDS} commands each",
        unit="/s",
        values=[held for held, _ in pairs],
        beside=[free for _, free in pairs],
        at_least=0.95,
    )
    return table("the warden", "nobody holds the machines", [row])
