"""What a machine uses up is limited, with control groups and without; the certificate says how."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from environments import Limits
from environments.sandbox import Sandbox, fences
from environments.sandbox.fences import hierarchies

if TYPE_CHECKING:
    from environments import Lease

pytestmark = pytest.mark.anyio

SMALL = Limits(memory_bytes=256 << 20, processes=64, disk_bytes=96 << 20)
BURN = b"""
import time
end = time.monotonic() + 2
while time.monotonic() < end:
    pass
print(time.process_time())
"""


async def sh(lease: Lease, text: str, timeout_s: float = 30.0) -> str:
    return (await lease.agent.exec(["bash", "-c", text], timeout_s=timeout_s)).text


@pytest.fixture
def _without_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fences, "hierarchies", lambda: ())


def controllers() -> set[str]:
    return {name for hierarchy in hierarchies() for name in hierarchy.controllers}


async def test_the_certificate_says_how_each_resource_is_limited(lease: Lease) -> None:
    stated = dict(lease.certificate.fences)
    assert stated.keys() == {"memory", "processes", "cpu", "disk", "open files", "output", "wall time"}
    assert stated["wall time"] == "the warden, 21600 s"
    for resource, controller in (("memory", "memory"), ("processes", "pids"), ("cpu", "cpu")):
        assert stated[resource].startswith("cgroup v") == (controller in controllers())


@pytest.mark.skipif("cpu" not in controllers(), reason="no control group for processor time here")
async def test_processor_time_is_shared_out() -> None:
    limits = Limits(memory_bytes=256 << 20, processes=64, disk_bytes=96 << 20, cpus=0.25)
    async with Sandbox(limits=limits).open(label="test", seed=0) as lease:
        began = time.monotonic()
        await lease.agent.write(lease.agent.home / "burn.py", BURN)
        said = await sh(lease, "python3 burn.py & python3 burn.py; wait")
        took = time.monotonic() - began
    used = sum(map(float, said.split()))
    assert len(said.split()) == 2
    assert 0.05 < used < 0.25 * took * 1.5 + 0.1


@pytest.mark.usefixtures("_without_groups")
async def test_without_groups_each_process_has_its_time() -> None:
    limits = Limits(memory_bytes=256 << 20, processes=64, disk_bytes=96 << 20, cpus=0.2, lifetime_s=60.0)
    async with Sandbox(limits=limits).open(label="test", seed=0) as lease:
        stated = dict(lease.certificate.fences)
        assert stated["cpu"] == "rlimit: 1 s of processor time for each process"
        assert lease.certificate.granted, lease.certificate.refusal()
        result = await lease.agent.exec(["python3", "-c", "while True: pass"], timeout_s=60)
        assert not result.timed_out
        assert result.status > 128
        assert await sh(lease, "echo alive") == "alive\n"


@pytest.mark.usefixtures("_without_groups")
async def test_without_groups_memory_is_limited_for_each_process() -> None:
    async with Sandbox(limits=SMALL).open(label="test", seed=0) as lease:
        assert dict(lease.certificate.fences)["memory"] == f"rlimit: {256 << 20} bytes for each process"
        assert lease.certificate.granted, lease.certificate.refusal()
        result = await lease.agent.exec(["python3", "-c", "x = bytearray(512 << 20)"], timeout_s=60)
        assert not result.ok
        assert b"MemoryError" in result.stderr
        assert (await lease.agent.exec(["python3", "-c", "x = bytearray(64 << 20)"], timeout_s=60)).ok


@pytest.mark.skipif(os.geteuid() != 0, reason="as an ordinary user, everything that user runs counts")
@pytest.mark.usefixtures("_without_groups")
async def test_without_groups_processes_are_counted_for_the_machines_user() -> None:
    async with (
        Sandbox(limits=SMALL).open(label="test", seed=0) as lease,
        Sandbox(limits=SMALL).open(label="other", seed=0) as other,
    ):
        assert dict(lease.certificate.fences)["processes"] == "rlimit"
        await lease.agent.exec(["bash", "-c", "f() { f | f & }; f; sleep 2"], timeout_s=3)
        assert len(await lease.control.processes()) <= SMALL.processes
        assert await sh(other, "echo unharmed") == "unharmed\n"


@pytest.mark.usefixtures("_without_groups")
async def test_without_groups_the_rest_holds_as_with_them() -> None:
    async with Sandbox(limits=SMALL).open(label="test", seed=0) as lease:
        assert "No space left" in await sh(lease, "dd if=/dev/zero of=big bs=1M count=1024 2>&1; rm big")
        assert await sh(lease, "ulimit -n") == "1024\n"
        result = await lease.agent.exec(["bash", "-c", "yes | head -c 256M"], timeout_s=60)
        assert len(result.stdout) == SMALL.output_bytes
        files = "import itertools\nheld = [open('/dev/null') for _ in itertools.count()]"
        assert b"Too many open files" in (await lease.agent.exec(["python3", "-c", files])).stderr
