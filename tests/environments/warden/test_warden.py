"""The warden sees what is left of a machine, ends what outlives its time, and takes everything with it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from environments import Broken, Halted, Leaked, Limits
from environments.sandbox import Sandbox
from environments.sandbox.fences import hierarchies
from environments.warden import Held, Warden, census, fault, halt, here, hold, studying, wardens
from environments.warden.registry import directory

if TYPE_CHECKING:
    from collections.abc import Iterator

    from environments import Lease

pytestmark = pytest.mark.anyio


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """A process of this host that would go on for long."""
    with subprocess.Popen(["sleep", "600"]) as process:
        yield process
        process.kill()


def ended(process: subprocess.Popen[bytes]) -> bool:
    with suppress(subprocess.TimeoutExpired):
        return process.wait(timeout=5) == -signal.SIGKILL
    return False


@contextmanager
def short_settling(held: Held) -> Iterator[None]:
    """What is deliberately left need not be waited for in full; the answer comes all the same."""
    began = time.monotonic()
    yield
    assert time.monotonic() - began < 30
    assert held.lease not in held.warden.held


async def test_a_machine_of_which_nothing_is_left_is_let_go(sleeper: subprocess.Popen[bytes]) -> None:
    held = hold("test", lifetime_s=60)
    held.process(sleeper.pid)
    sleeper.kill()
    await held.release()
    assert (await census()).machines == 1
    assert (await census()).left == ()


async def test_a_process_that_is_left_is_a_leak_and_is_ended(sleeper: subprocess.Popen[bytes]) -> None:
    held = hold("test", lifetime_s=60)
    held.process(sleeper.pid)
    with short_settling(held), pytest.raises(Leaked, match=rf"test: left behind process {sleeper.pid}"):
        await held.release()
    assert ended(sleeper)


async def test_a_folder_that_is_left_is_a_leak_and_is_removed(tmp_path: Path) -> None:
    (tmp_path / "stage/deep").mkdir(parents=True)
    held = hold("test", lifetime_s=60)
    held.folder(tmp_path / "stage")
    with pytest.raises(Leaked) as caught:
        await held.release()
    assert caught.value.left == (f"folder {tmp_path / 'stage'}",)
    assert not (tmp_path / "stage").exists()


@pytest.mark.skipif(not hierarchies(), reason="control groups are not ours to make here")
async def test_a_control_group_that_is_left_is_a_leak_with_all_that_is_in_it(
    sleeper: subprocess.Popen[bytes],
) -> None:
    group = hierarchies()[0].parent / "left-by-a-test"
    group.mkdir()
    held = hold("test", lifetime_s=60)
    held.group(group)
    (group / "cgroup.procs").write_text(str(sleeper.pid))
    with pytest.raises(Leaked, match="control group"):
        await held.release()
    assert ended(sleeper)
    assert not group.exists()


@pytest.fixture
def world() -> Iterator[int]:
    """A process in namespaces of its own; returns its number."""
    command = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child", "sleep", "600"]
    with subprocess.Popen(command) as first:
        while not (inside := _children(first.pid)):
            time.sleep(0.01)
        yield inside[0]
        first.kill()


@pytest.fixture
def intruder(world: int) -> Iterator[subprocess.Popen[bytes]]:
    """A process that has entered one of them from outside."""
    time.sleep(0.2)
    with subprocess.Popen(["nsenter", f"--user=/proc/{world}/ns/user", "sleep", "601"]) as process:
        time.sleep(0.2)
        yield process
        process.kill()


async def test_whoever_is_left_in_a_machines_namespaces_is_a_leak(
    world: int, intruder: subprocess.Popen[bytes]
) -> None:
    held = hold("test", lifetime_s=60)
    held.process(world, namespaces=True)
    os.kill(world, signal.SIGKILL)
    with pytest.raises(Leaked, match=rf"process {intruder.pid} \(sleep\) in user"):
        await held.release()


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


async def test_a_machine_lives_no_longer_than_it_may() -> None:
    async def outstay() -> None:
        async with Sandbox(limits=Limits(lifetime_s=1.0)).open(label="test", seed=0) as lease:
            result = await lease.agent.exec(["sleep", "60"], timeout_s=50)
            assert not result.ok

    began = time.monotonic()
    with pytest.raises(Broken, match="its time was up"):
        await outstay()
    assert time.monotonic() - began < 20
    assert fault() is None
    async with Sandbox().open(label="the next", seed=0) as lease:
        assert (await lease.agent.exec(["true"])).ok


async def machine_until_halted(warden: Warden, do: str) -> str:
    """Open a machine, do something to the warden's processes, and return why everything ended."""
    async with Sandbox().open(label="test", seed=0) as lease:
        await lease.agent.exec(["bash", "-c", "(trap '' TERM HUP; sleep 600) >/dev/null 2>&1 &"])
        match do:
            case "kill the warden":
                os.kill(warden.pids[0], signal.SIGKILL)
            case "kill its heir":
                os.kill(warden.pids[1], signal.SIGKILL)
            case "stop both":
                for pid in warden.pids:
                    os.kill(pid, signal.SIGSTOP)
            case "tell it to halt":
                os.kill(warden.pids[0], signal.SIGTERM)
        async with asyncio.timeout(20):
            reason = await warden.until_halted()
        with pytest.raises(Broken):
            await until_broken(lease)
    return reason


async def until_broken(lease: Lease) -> None:
    for _ in range(100):  # killed, but perhaps not gone yet
        await lease.agent.exec(["sleep", "0.05"])


@pytest.mark.parametrize(
    ("do", "why"),
    [
        ("kill the warden", "gone"),
        ("kill its heir", "heir is gone"),
        ("stop both", "lapsed"),
        ("tell it to halt", "told to halt"),
    ],
)
async def test_without_the_warden_the_machines_end(
    do: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDLINE_LEASE_S", "1")
    warden = here()
    try:
        assert why in await machine_until_halted(warden, do)
    finally:
        for pid in warden.pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
    assert fault() is not None
    with pytest.raises(Halted):
        async with Sandbox().open(label="none begins", seed=0):
            pass


async def test_a_stuck_loop_does_not_renew_its_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDLINE_LEASE_S", "1")

    async def get_stuck() -> None:
        async with Sandbox().open(label="test", seed=0):
            time.sleep(2.5)  # noqa: ASYNC251  that is the point
            assert "has lapsed" in (fault() or "") or "has not renewed" in (fault() or "")
            await here().until_halted()

    await get_stuck()
    assert "has not renewed its lease for 1 s" in (fault() or "") or "lapsed" in (fault() or "")


async def test_a_study_is_halted_by_its_folder(tmp_path: Path) -> None:
    with studying(tmp_path):
        async with Sandbox().open(label="test", seed=0):
            assert wardens(tmp_path / "another") == []
            (found,) = wardens(tmp_path)
            assert found.runner == os.getpid()
            halted = await halt(found)
            assert halted.machines == 1
            assert halted.left == ()
            assert halted.took_s is not None
            assert halted.took_s < 2
    assert wardens(tmp_path) == []
    for _ in range(100):
        if not list(directory().glob(f"{found.warden}*")):
            break
        await asyncio.sleep(0.05)
    assert not list(directory().glob(f"{found.warden}*"))


def test_the_warden_ends_with_its_runner() -> None:
    code = "import asyncio\nfrom environments.warden import here\n"
    code += "async def main():\n    print(*here().pids, flush=True)\n    await asyncio.sleep(60)\n"
    with subprocess.Popen(
        [sys.executable, "-c", code + "asyncio.run(main())"], stdout=subprocess.PIPE, text=True
    ) as runner:
        assert runner.stdout is not None
        pids = [int(pid) for pid in runner.stdout.readline().split()]
        assert len(pids) == 2
        runner.kill()
    for _ in range(200):
        if not any(_runs(pid) for pid in pids):
            break
        time.sleep(0.05)
    assert not any(_runs(pid) for pid in pids)


def _runs(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False
