"""A real sandbox for each test that asks for one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from environments import Limits
from environments.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from environments import Lease

SMALL = Limits(memory_bytes=256 << 20, processes=64, disk_bytes=96 << 20)


@pytest.fixture
async def lease() -> AsyncGenerator[Lease, None]:
    async with Sandbox(limits=SMALL).open(label="test", seed=0) as opened:
        yield opened
