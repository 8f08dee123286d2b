"""A host of each kind for programs of the study's own."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from ssh_host import Sshd, World, may_make_worlds

from environments.hosting import HERE
from environments.hosting.over_ssh import ssh_host

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

    from environments.hosting import Host


@pytest.fixture
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    """An sshd that lets us log in to this host."""
    if shutil.which("sshd", path="/usr/sbin:/usr/bin") is None:
        pytest.skip("there is no sshd; sudo apt-get install openssh-server")
    with Sshd(tmp_path_factory.mktemp("sshd")) as server:
        yield server


@pytest.fixture
def world() -> Iterator[World]:
    """A host with an agent and a root, which shares our network."""
    if not may_make_worlds():
        pytest.skip("hosts of their own are made by root")
    with World() as made:
        yield made


@pytest.fixture
async def over_ssh(sshd: Sshd) -> AsyncGenerator[Host, None]:
    async with ssh_host(sshd.host) as host:
        yield host


@pytest.fixture(params=["here", "ssh"])
def host(request: pytest.FixtureRequest) -> Host:
    kind: str = request.param
    if kind == "here":
        return HERE
    found: Host = request.getfixturevalue({"ssh": "over_ssh"}[kind])
    return found
