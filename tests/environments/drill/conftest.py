"""What the drill's tests share: which attempts, on which small machines."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from environments import Limits
from environments.drill import ATTEMPTS, Attempt, battery

if TYPE_CHECKING:
    from collections.abc import Iterator

SMALL = Limits(memory_bytes=192 << 20, processes=64, disk_bytes=96 << 20, open_files=512, cpus=0.5)


@pytest.fixture
def gentle() -> list[Attempt]:
    """Attempts that leave a machine usable and need no second one beside it."""
    return [one for one in ATTEMPTS if not one.alone and one.name != "sibling-machine"]


@pytest.fixture
def root() -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can become a user that owns nothing")


@pytest.fixture
def open_folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that every user can enter, and in which everything temporary is made."""
    with tempfile.TemporaryDirectory(prefix="open-", dir="/var/tmp") as folder:
        Path(folder).chmod(0o755)
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield Path(folder)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What lives on is seen at once; waiting whether it goes by itself is for real drills."""
    monkeypatch.setattr(battery, "_SETTLING_S", 0.3)
