from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from vllm_stand_in import install
from vllm_subjects import StandIn

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def stand_in(tmp_path: Path) -> StandIn:
    install(tmp_path)
    return StandIn(tmp_path)
