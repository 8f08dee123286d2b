"""Settings every test shares."""

from __future__ import annotations

import os

import pytest


def pytest_xdist_auto_num_workers() -> int:
    """Two workers a processor: tests wait for machines more than they compute."""
    return 2 * min(os.cpu_count() or 1, 8)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """LangGraph and asyncssh run on asyncio alone, so the tests do too."""
    return "asyncio"
