"""The battery on every kind of machine. On the slower ones, the classes that differ from kind to kind."""

from __future__ import annotations

import json
import os
import subprocess
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import container_engine
import pytest
from ssh_host import World, may_make_worlds
from vm_image import image, machines

from environments.containers import Containers
from environments.drill import ATTEMPTS, run_battery, small
from environments.lab import LabMachine
from environments.lab.obstacles import missing
from environments.ssh import SshHosts

if TYPE_CHECKING:
    from environments.drill import Attempt, Report
    from environments.vm import VirtualMachine

__all__ = ["image", "machines"]

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


def _of(*kinds: str) -> list[Attempt]:
    return [one for one in ATTEMPTS if one.kind in kinds and not one.alone]


def _out(report: Report) -> dict[str, str]:
    assert report.leaks == ()
    return {one.attempt.name: one.detail for one in report.escaped}


async def test_a_lab() -> None:
    if os.geteuid() != 0 or (fault := missing()) is not None:
        pytest.skip(str(fault) if os.geteuid() == 0 else "needs root")
    attempts = _of("network", "filesystem", "processes", "privileges", "lease evasion", "log tampering")
    report = await run_battery(small(LabMachine(hosts=2)), attempts, seed=os.getpid())
    assert _out(report) == {}
    assert {one.attempt.name for one in report.tried if one.outcome == "declared"} <= {
        "capabilities-to-be-had"
    }


async def test_a_container() -> None:
    attempts = _of("network", "filesystem", "privileges", "kernel interfaces", "lease evasion")
    try:
        with container_engine.engine() as podman:
            provider = Containers(image=container_engine.IMAGE, engine=str(podman))
            report = await run_battery(small(provider), attempts, seed=os.getpid())
    except container_engine.NoEngine as reason:
        pytest.skip(str(reason))
    assert _out(report) == {}


@pytest.mark.timeout(300)
async def test_a_virtual_machine(machines: VirtualMachine) -> None:
    attempts = _of("network", "kernel interfaces", "lease evasion")
    attempts = [one for one in attempts if one.name != "sibling-machine"]
    report = await run_battery(small(machines), attempts, seed=os.getpid())
    assert _out(report) == {}


async def test_an_ssh_host_that_shares_the_runners_network_is_found_out() -> None:
    """The host has files and processes of its own: those hold, and nothing is there on the next lease."""
    if not may_make_worlds():
        pytest.skip("hosts of their own are made by root")
    with World() as world:
        provider = SshHosts(machines=(world.machine,))
        attempts = _of("network", "filesystem", "processes", "lease evasion", "log tampering")
        report = await run_battery(small(provider), attempts, seed=os.getpid())
    out = _out(report)
    assert {one.attempt.kind for one in report.escaped} == {"network"}
    assert {"tcp-loopback-v4", "udp-loopback-v4", "abstract-socket", "dns-query"} <= set(out)
    assert next(one.outcome for one in report.tried if one.attempt.name == "sibling-machine") == "not tried"


async def test_an_ssh_host_that_calls_nobody_holds() -> None:
    if not may_make_worlds():
        pytest.skip("hosts of their own are made by root")
    with World(cable="redline-drill") as world:
        world.shut()
        provider = SshHosts(machines=(world.machine,))
        attempts = _of("network", "filesystem", "processes", "privileges", "lease evasion", "log tampering")
        report = await run_battery(small(provider), attempts, seed=os.getpid())
    assert _out(report) == {}
    kinds = {one.attempt.kind for one in report.tried if one.outcome == "declared"}
    assert kinds <= {"privileges"}  # what its user can become there, its owner chose


AS_SOMEBODY = """
import asyncio, json, sys
sys.path[:0] = json.loads(sys.argv[1])
from environments.drill import ATTEMPTS, run_battery, small
from environments.sandbox import Sandbox

async def main():
    slow = ("endless-command", "su", "fork-bomb", "processor")
    attempts = [one for one in ATTEMPTS if one.name not in slow]
    report = await run_battery(small(Sandbox()), attempts, seed=1)
    found = {one.attempt.name: [one.outcome, one.detail] for one in report.tried}
    print(json.dumps(found | {"": report.leaks}))

asyncio.run(main())
"""


@pytest.mark.usefixtures("root")
def test_a_sandbox_of_an_ordinary_user(tmp_path: Path) -> None:
    """No control groups there: what the certificate says of memory is what is found."""
    source = Path(__file__).resolve().parents[3] / "src" / "environments"
    subprocess.run(["cp", "-r", str(source), str(tmp_path / "environments")], check=True)
    subprocess.run(["chmod", "-R", "a+rX", str(tmp_path)], check=True)
    for parent in tmp_path.parents:
        if parent.stat().st_uid == 0 and parent != Path("/") and str(parent).startswith("/tmp/"):  # noqa: S108
            parent.chmod(parent.stat().st_mode | 0o055)
    become = ["setpriv", "--reuid=12345", "--regid=12345", "--clear-groups"]
    done = subprocess.run(
        [*become, "/usr/bin/python3", "-c", textwrap.dedent(AS_SOMEBODY), json.dumps([str(tmp_path)])],
        capture_output=True, text=True, check=False, cwd="/", env={"PATH": os.environ["PATH"]},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found.pop("") == []
    assert {name: detail for name, (outcome, detail) in found.items() if outcome == "out"} == {}
    declared = {name for name, (outcome, _) in found.items() if outcome == "declared"}
    assert {"memory-of-many-processes", "memory-file"} <= declared
    assert declared <= {"memory-of-many-processes", "memory-file", "asynchronous-calls"}
