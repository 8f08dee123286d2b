"""Real labs, where this host lets them be."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from environments import Limits
from environments.lab import Lab
from environments.lab.obstacles import missing

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from environments.lab import RunningLab

SMALL = Limits(memory_bytes=256 << 20, processes=64, disk_bytes=96 << 20)


@pytest.fixture(autouse=True)
def _possible() -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root, or ids of one's own in /etc/subuid")
    if (fault := missing()) is not None:
        pytest.skip(str(fault))


@pytest.fixture
async def lab() -> AsyncGenerator[RunningLab, None]:
    async with Lab(hosts=3, limits=SMALL).up() as up:
        yield up
