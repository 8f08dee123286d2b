"""Settings every test shares."""

from __future__ import annotations

import os

import pytest


def pytest_xdist_auto_num_workers() -> int:
    """One worker more than processors: tests wait for machines as much as they compute."""
    return 1 + min(os.cpu_count() or 1, 8)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """LangGraph and asyncssh run on asyncio alone, so the tests do too."""
    return "asyncio"
