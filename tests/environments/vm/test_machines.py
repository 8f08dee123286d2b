"""Real machines under software emulation: what happens on them, and to them."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from contextlib import suppress
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import pytest

from environments import Broken, Rebooted
from environments.attendant import AttendedControl
from environments.sandbox.fences import hierarchies
from environments.vm.checkpoints import lease_of
from environments.vm.fittings import Fittings, Function
from environments.vm.machine import Machine
from environments.vm.scratch import traces
from environments.vm.stay import Stay

if TYPE_CHECKING:
    from environments import Lease
    from environments.vm import VirtualMachine

pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.timeout(400)]


def emulators() -> set[int]:
    """Processes on this host that emulate a machine for this test process."""
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
                parent = int((entry / "stat").read_bytes().rpartition(b")")[2].split()[1])
            except OSError:
                continue
            if words[0] == b"qemu-system-x86_64" and parent == os.getpid():
                found.add(int(entry.name))
    return found


def left_behind() -> dict[str, list[str]]:
    known = traces()
    of_others = {trace.path.name for trace in known if trace.alive and trace.runner != os.getpid()}
    groups = [str(g) for h in hierarchies() for g in h.parent.glob("redline-vm-*") if g.name not in of_others]
    folders = [str(trace.path) for trace in known if trace.path.name not in of_others]
    return {"groups": groups, "folders": folders, "emulators": [str(pid) for pid in emulators()]}


async def sh(lease: Lease, text: str, timeout_s: float = 60.0) -> str:
    return (await lease.agent.exec(["bash", "-c", text], timeout_s=timeout_s)).text


async def as_root(lease: Lease, text: str) -> str:
    assert isinstance(lease.control, AttendedControl)
    return (await lease.control.tell(["sh", "-c", text])).text


async def press(lease: Lease, key: str) -> None:
    """Have the machine's kernel end or restart the machine, in a moment."""
    await as_root(lease, f"(sleep 0.3; echo {key} >/proc/sysrq-trigger) </dev/null >/dev/null 2>&1 &")


async def test_a_machine_is_closed_and_its_agent_is_nobody(machines: VirtualMachine) -> None:
    before = left_behind()
    async with machines.open(label="test", seed=0) as lease:
        assert lease.certificate.granted, lease.certificate.refusal()
        assert await sh(lease, "id -un; id -u; pwd") == "agent\n1000\n/home/agent\n"
        assert "denied" in await sh(lease, "cat /etc/shadow; ls -la /root")
        assert "denied" in await sh(lease, "cat /etc/ssh/host_key")
        assert await sh(lease, "find / -xdev -perm /6000 -type f 2>/dev/null") == ""
        assert await sh(lease, "ls /dev/virtio-ports; exec 3<>/dev/virtio-ports/org.redline.control") != ""
        assert "unreachable" in await sh(lease, "echo out >/dev/tcp/192.0.2.1/80")
        for reachable in ("10.0.2.2/22", "10.0.2.3/53"):
            assert "OUT" not in await sh(lease, f"echo out >/dev/tcp/{reachable} && echo OUT")
        await lease.control.plant(PurePosixPath("/home/agent/planted"), b"here", mode=0o600)
        assert await sh(lease, "cat planted; stat -c %U planted") == "hereagent\n"
        await sh(lease, "sleep 4711 </dev/null >/dev/null 2>&1 &")
        assert [p.argv for p in await lease.control.processes()] == [("sleep", "4711")]
        assert len(emulators()) == 1
    after = left_behind()
    assert after == before


MULTIPLY = 'import os, time\nfor _ in range(200):\n os.fork() or os.execvp("sleep", ("sleep", "300"))'


async def test_its_disk_and_its_processes_are_limited(lease: Lease) -> None:
    said = await sh(lease, "dd if=/dev/zero of=big bs=1M count=2000 2>&1")
    assert "No space left on device" in said
    written = int(await sh(lease, "stat -c %s big"))
    assert 60 << 20 < written < 100 << 20
    assert await as_root(lease, "ps -o pid= -p 1") != ""
    assert await sh(lease, "rm big; echo still >works && cat works") == "still\n"
    said = await sh(lease, f"python3 -c '{MULTIPLY}'", timeout_s=60)
    assert "Resource temporarily unavailable" in said
    await lease.agent.exec(["pkill", "sleep"])
    assert await sh(lease, "echo alive") == "alive\n"


async def test_a_saved_machine_comes_back_and_its_forks_go_their_own_ways(lease: Lease) -> None:
    points = lease.checkpoints
    assert points is not None
    counter = "n=0; while true; do n=$((n + 1)); echo $n >count; sleep 0.4; done"
    await sh(lease, f"echo before >state; mkdir tree; bash -c '{counter}' </dev/null >/dev/null 2>&1 &")
    await asyncio.sleep(1)
    await points.save("point")
    await sh(lease, "echo after >state; rm -r tree; pkill -f count")
    stopped = int(await sh(lease, "cat count"))
    clock = float(await sh(lease, "date +%s.%N"))

    async with points.fork("point", label="one") as one, points.fork("point", label="two") as two:
        assert one.certificate.granted, one.certificate.refusal()
        assert await sh(one, "cat state; ls -d tree") == "before\ntree\n"
        first = int(await sh(one, "cat count"))
        await asyncio.sleep(1)
        assert int(await sh(one, "cat count")) > first, "the process that was saved does not run in the fork"
        assert float(await sh(one, "date +%s.%N")) > clock, "a fork lives in the past"
        random = "head -c 16 /dev/urandom | od -An -tx1; cat /proc/sys/kernel/random/uuid"
        assert await sh(one, random) != await sh(two, random)
        await sh(one, "echo one >state; sync")
        assert await sh(two, "cat state") == "before\n"
    assert await sh(lease, "cat state") == "after\n"
    assert int(await sh(lease, "cat count")) == stopped

    waiting = asyncio.create_task(lease.agent.exec(["sleep", "600"], timeout_s=900))
    await asyncio.sleep(0.5)
    await points.restore("point")
    assert not (await waiting).ok, "a command outlived the machine it ran on"
    assert await sh(lease, "cat state; ls -d tree") == "before\ntree\n"
    assert float(await sh(lease, "date +%s.%N")) > clock
    assert [p.argv[:1] for p in await lease.control.processes()].count(("bash",)) == 1
    with pytest.raises(KeyError):
        await points.restore("no such point")


async def test_a_forks_disk_holds_what_it_wrote(lease: Lease) -> None:
    points = lease.checkpoints
    assert points is not None
    await points.save("point")

    def written() -> int:
        return sum(trace.disk_bytes for trace in traces() if trace.runner == os.getpid())

    before = written()
    async with points.fork("point", label="fork") as fork:
        idle = written() - before
        await sh(fork, "dd if=/dev/urandom of=new bs=1M count=20 2>/dev/null; sync")
        wrote = written() - before
    assert idle < 8 << 20
    assert 20 << 20 <= wrote < 32 << 20


async def test_an_emulator_that_is_killed_is_not_the_agents_doing(machines: VirtualMachine) -> None:
    async with machines.open(label="test", seed=0) as lease:
        running = asyncio.create_task(lease.agent.exec(["sleep", "60"]))
        await asyncio.sleep(0.5)
        (pid,) = emulators()
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(Broken, match="its emulator was ended by SIGKILL") as raised:
            await running
        assert not raised.value.by_agent
        with pytest.raises(Broken) as raised:
            await lease.control.processes()
        assert not raised.value.by_agent
    assert not emulators()


@pytest.mark.parametrize(
    ("key", "words"), [("o", "it was shut down from inside"), ("c", "its kernel panicked")]
)
async def test_a_machine_that_ends_itself_was_ended_by_the_agent(lease: Lease, key: str, words: str) -> None:
    running = asyncio.create_task(lease.agent.exec(["sleep", "60"]))
    await asyncio.sleep(0.5)
    await press(lease, key)
    with pytest.raises(Broken, match=words) as raised:
        await running
    assert raised.value.by_agent
    with pytest.raises(Broken, match=words):
        await lease.control.processes()


async def test_a_machine_that_is_rebooted_comes_back(lease: Lease) -> None:
    await sh(lease, "echo kept >state; sync")
    running = asyncio.create_task(lease.agent.exec(["sleep", "60"]))
    await asyncio.sleep(0.5)
    await press(lease, "b")
    with pytest.raises(Rebooted):
        await running
    assert await sh(lease, "cat state") == "kept\n"
    assert (
        await sh(lease, "dd if=/dev/zero of=big bs=1M count=2000 2>&1 | grep -o 'No space'") == "No space\n"
    )
    assert await lease.control.look(PurePosixPath("/home/agent/state")) == b"kept\n"
    assert [p.argv for p in await lease.control.processes()] == []


async def test_an_opening_that_is_cancelled_leaves_nothing(machines: VirtualMachine) -> None:
    before = left_behind()

    async def opened() -> None:
        async with machines.open(label="test", seed=0):
            await asyncio.sleep(60)

    for delay in (0.05, 0.15, 0.4, 1.0):
        opening = asyncio.create_task(opened())
        await asyncio.sleep(delay)
        opening.cancel()
        await asyncio.wait({opening})
    assert left_behind() == before


def killed_runner(script: str) -> int:
    """Run a script until it has printed a number, kill it, and return the number."""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as runner:
        assert runner.stdout is not None
        pid = int(runner.stdout.readline())
        assert runs(pid)
        runner.kill()
    return pid


def runs(pid: int) -> bool:
    with suppress(FileNotFoundError, ProcessLookupError):
        return bool(Path(f"/proc/{pid}/cmdline").read_bytes())
    return False


async def test_a_runner_that_is_killed_takes_its_machine_along(machines: VirtualMachine) -> None:
    before = left_behind()
    script = textwrap.dedent(f"""
        import anyio
        from environments import Limits
        from environments.vm import VirtualMachine
        async def main():
            machines = VirtualMachine(image={machines.image!r}, accel="tcg", limits={machines.limits!r})
            async with machines.open(label="killed", seed=0) as lease:
                print(lease.checkpoints._stay.machine.emulator.pid, flush=True)
                await anyio.sleep(600)
        anyio.run(main)
    """)
    pid = await asyncio.to_thread(killed_runner, script)
    for _ in range(100):
        if not runs(pid):
            break
        await asyncio.sleep(0.05)
    else:
        pytest.fail("the emulator outlived its runner")
    async with machines.open(label="after", seed=0):
        pass
    assert left_behind() == before


async def test_a_device_that_is_handed_through_is_counted(machines: VirtualMachine) -> None:
    """One that QEMU emulates takes a GPU's place, as no host of ours has a GPU to spare."""
    terms = await machines._terms(None)
    given = Fittings(
        cards=((Function(driver="edu"),),), memory_bytes=machines.limits.memory_bytes, accelerated=False
    )
    with_card = replace(terms, hardware=replace(terms.hardware, fittings=given))
    async with lease_of(Stay(with_card, label="card")) as lease:
        assert lease.checkpoints is None
        assert lease.certificate.granted, lease.certificate.refusal()
        found = {probe.name: probe.found for probe in lease.certificate.probes}
        assert found["devices handed through"] == "1"
        assert "0x11e8" in await sh(lease, "cat /sys/bus/pci/devices/*/device")


async def test_a_way_out_is_found_and_the_certificate_refused(
    machines: VirtualMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control experiment: an unrestricted network in the host's own namespace."""
    restricted = Machine._netdev
    monkeypatch.setattr(
        Machine, "_netdev", lambda machine: restricted(machine).replace("restrict=on", "restrict=off")
    )
    open_wide = machines.__class__(
        image=machines.image, accel="tcg", limits=machines.limits, alone=False, warm=True
    )
    async with open_wide.open(label="test", seed=0) as lease:
        assert not lease.certificate.granted
        wrong = {probe.name for probe in lease.certificate.probes if not probe.ok}
    assert wrong >= {"networks", "emulator's network", "calls redline heard"}
