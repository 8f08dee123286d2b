"""Settings every test shares."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """LangGraph and asyncssh run on asyncio alone, so the tests do too."""
    return "asyncio"
