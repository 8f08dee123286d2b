"""Real sshd processes for each test that asks for them."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from ssh_host import Sshd, World, may_make_worlds

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def sshd(tmp_path: Path) -> Iterator[Sshd]:
    """An sshd that lets us log in to this host."""
    if shutil.which("sshd", path="/usr/sbin:/usr/bin") is None:
        pytest.skip("there is no sshd; sudo apt-get install openssh-server")
    with Sshd(tmp_path) as server:
        yield server


@pytest.fixture
def world() -> Iterator[World]:
    """A host of its own, with an agent and a root."""
    if not may_make_worlds():
        pytest.skip("hosts of their own are made by root")
    with World() as made:
        yield made
