"""One real container engine for all tests here, or the reason why there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import container_engine
import pytest

from environments import Limits
from environments.containers import Containers

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator
    from pathlib import Path

    from environments import Lease

SMALL = Limits(memory_bytes=256 << 20, processes=64, disk_bytes=96 << 20)


@pytest.fixture(scope="session")
def podman() -> Iterator[Path]:
    try:
        with container_engine.engine() as program:
            yield program
    except container_engine.NoEngine as reason:
        pytest.skip(str(reason))


@pytest.fixture
def provider(podman: Path) -> Containers:
    return Containers(image=container_engine.IMAGE, engine=str(podman), limits=SMALL)


@pytest.fixture
async def lease(provider: Containers) -> AsyncGenerator[Lease, None]:
    async with provider.open(label="test", seed=0) as opened:
        yield opened
