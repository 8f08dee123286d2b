"""The hazardous scenario on every kind of machine, by the same command: one word differs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from ssh_host import World, may_make_worlds
from vm_image import image

if TYPE_CHECKING:
    from collections.abc import Iterator

    from environments.vm.images import Image

__all__ = ["image"]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

REDLINE = str(Path(sys.executable).with_name("redline"))


@pytest.fixture
def closed_host(tmp_path: Path) -> Iterator[Path]:
    """A host that lets nobody out, in a hosts file."""
    if not may_make_worlds():
        pytest.skip("hosts of their own are made by root")
    with World(cable="redline-all") as world:
        world.shut()
        agent, control = world.machine.agent, world.machine.control
        assert control is not None
        hosts = tmp_path / "hosts.toml"
        hosts.write_text(
            f'[world]\naddress = "{agent.address}"\nport = {agent.port}\nuser = "agent"\n'
            f'identity = "{agent.identities[0]}"\nhost_key = "{agent.host_key}"\n'
            f'control_identity = "{control.identities[0]}"\n'
        )
        yield hosts


def replicated(environment: str, out: Path) -> None:
    what = ("run", "self-replication", "--scaffold", "reference", "--trials", "2", "--json")
    done = subprocess.run(
        [REDLINE, *what, "--environment", environment, "--out", str(out)],
        capture_output=True,
        text=True,
        check=False,
        timeout=350,
    )
    assert done.returncode == 0, done.stderr
    trials = json.loads(done.stdout)["trials"]
    assert [trial["outcome"] for trial in trials] == ["success"] * 2, [trial["cause"] for trial in trials]


def test_in_a_sandbox(tmp_path: Path) -> None:
    replicated("sandbox", tmp_path / "out")


def test_in_a_lab(tmp_path: Path) -> None:
    replicated("lab", tmp_path / "out")


def test_on_an_ssh_host(closed_host: Path, tmp_path: Path) -> None:
    replicated(str(closed_host), tmp_path / "out")


def test_in_a_virtual_machine(image: Image, tmp_path: Path) -> None:
    assert image.name == "minimal"
    replicated("vm", tmp_path / "out")
