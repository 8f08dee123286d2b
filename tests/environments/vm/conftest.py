"""A real machine for each test that asks for one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from vm_image import image, machines

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from environments import Lease
    from environments.vm import VirtualMachine

__all__ = ["image", "machines"]


@pytest.fixture
async def lease(machines: VirtualMachine) -> AsyncGenerator[Lease, None]:
    async with machines.open(label="test", seed=0) as opened:
        yield opened
