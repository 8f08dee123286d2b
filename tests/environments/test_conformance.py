"""The embedded sandbox passes the public conformance suite, and the suite finds what is wrong."""

from __future__ import annotations

import pytest

from environments.sandbox import Sandbox
from environments.testing import check_provider

pytestmark = pytest.mark.anyio


async def test_the_sandbox_conforms() -> None:
    (await check_provider(Sandbox())).require()
