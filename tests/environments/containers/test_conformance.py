"""Containers pass the public conformance suite on a real engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from environments.testing import check_provider

if TYPE_CHECKING:
    from environments.containers import Containers

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


async def test_containers_conform(provider: Containers) -> None:
    (await check_provider(provider)).require()
