"""Handing GPUs over, on a made-up host: what is bound, who is kept out, and what is given back."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

import pytest
from made_up_pci import BOOT_ID, MadeUpHost

from environments import Broken, Unavailable
from environments.vm.handover import give_back_what_is_left
from environments.vm.passthrough import Passthrough

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.anyio

GPU, SOUND = "0000:65:00.0", "0000:65:00.1"


@pytest.fixture
def made_up(tmp_path: Path) -> Iterator[MadeUpHost]:
    made_up = MadeUpHost(tmp_path)
    made_up.add(GPU)
    with made_up.kernel():
        yield made_up


def wanted(made_up: MadeUpHost) -> Passthrough:
    return Passthrough(gpu=GPU, memory_bytes=8 << 30, host=made_up.host, root=made_up.root)


async def test_a_card_is_bound_whole_and_given_back(made_up: MadeUpHost) -> None:
    made_up.add(SOUND, kind="sound", driver="snd_hda_intel")
    async with wanted(made_up).open() as fittings:
        assert [f.host for f in fittings.cards[0]] == [GPU, SOUND]
        assert (made_up.driver(GPU), made_up.driver(SOUND)) == ("vfio-pci", "vfio-pci")
        assert made_up.journals == [GPU, SOUND]
    assert (made_up.driver(GPU), made_up.driver(SOUND)) == ("nvidia", "snd_hda_intel")
    assert (made_up.override(GPU), made_up.override(SOUND)) == ("", "")
    assert made_up.journals == []
    assert made_up.seen == [
        f"unbind {GPU} nvidia", f"probe {GPU}", f"unbind {SOUND} snd_hda_intel", f"probe {SOUND}",
        f"unbind {SOUND} vfio-pci", f"bind {SOUND} snd_hda_intel",
        f"unbind {GPU} vfio-pci", f"bind {GPU} nvidia",
    ]  # fmt: skip


async def test_a_device_without_a_driver_has_none_afterwards(made_up: MadeUpHost) -> None:
    made_up.bind(GPU, None)
    async with wanted(made_up).open():
        assert made_up.driver(GPU) == "vfio-pci"
    assert made_up.driver(GPU) is None


async def test_a_device_that_is_reserved_for_vfio_stays_so(made_up: MadeUpHost) -> None:
    (made_up.pci / "devices" / GPU / "driver_override").write_text("vfio-pci\n")
    made_up.bind(GPU, "vfio-pci")
    async with wanted(made_up).open():
        assert made_up.journals == [GPU]
    assert (made_up.driver(GPU), made_up.override(GPU), made_up.seen) == ("vfio-pci", "vfio-pci", [])
    assert made_up.journals == []


async def test_two_machines_cannot_have_the_same_gpu(made_up: MadeUpHost) -> None:
    async with wanted(made_up).open():
        with pytest.raises(Unavailable, match=rf"handed to another machine of process {os.getpid()}"):
            await wanted(made_up).open().__aenter__()
        assert made_up.driver(GPU) == "vfio-pci"
    assert made_up.driver(GPU) == "nvidia"


async def test_a_driver_that_does_not_come_is_undone(
    made_up: MadeUpHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("environments.vm.handover._PATIENCE_S", 0.2)
    made_up.add(SOUND, kind="sound", driver="snd_hda_intel")
    made_up.refuses.add("vfio-pci")
    with pytest.raises(Unavailable, match=r"vfio-pci does not take 0000:65:00\.0"):
        await wanted(made_up).open().__aenter__()
    assert (made_up.driver(GPU), made_up.driver(SOUND)) == ("nvidia", "snd_hda_intel")
    assert made_up.journals == []


async def test_cancelling_gives_back(made_up: MadeUpHost) -> None:
    async def hold() -> None:
        async with wanted(made_up).open():
            await asyncio.sleep(60)

    for moment in (0.0, 0.005, 0.02, 0.3):
        task = asyncio.ensure_future(hold())
        await asyncio.sleep(moment)
        for _ in range(5):
            task.cancel()
            await asyncio.sleep(0)
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (made_up.driver(GPU), made_up.journals) == ("nvidia", [])


CRASH = textwrap.dedent("""
    import asyncio, os, pathlib, signal, sys
    from environments.vm.passthrough import Passthrough
    from environments.vm.sysfs import Host
    root = pathlib.Path(sys.argv[1])
    host = Host(sys=root / "sys", dev=root / "dev", proc=root / "proc", state=root / "state")
    async def main():
        async with Passthrough(gpu=sys.argv[2], memory_bytes=1 << 30, host=host).open():
            os.kill(os.getpid(), signal.SIGKILL)
    asyncio.run(main())
""")


def crash(made_up: MadeUpHost) -> None:
    done = subprocess.run([sys.executable, "-c", CRASH, str(made_up.root), GPU], check=False)
    assert done.returncode == -signal.SIGKILL
    assert (made_up.driver(GPU), made_up.journals) == ("vfio-pci", [GPU])


def test_a_crash_is_made_good_by_whoever_comes_next(made_up: MadeUpHost) -> None:
    crash(made_up)
    assert give_back_what_is_left(made_up.host) == [(GPU, "nvidia", "")]
    assert (made_up.driver(GPU), made_up.override(GPU), made_up.journals) == ("nvidia", "", [])
    assert give_back_what_is_left(made_up.host) == []


async def test_the_next_machine_after_a_crash_knows_the_first_driver(made_up: MadeUpHost) -> None:
    crash(made_up)
    async with wanted(made_up).open():
        journal = json.loads((made_up.host.state / f"passthrough/{GPU}.json").read_text())
        assert journal == {"driver": "nvidia", "override": "", "boot_id": BOOT_ID, "pid": os.getpid()}
    assert made_up.driver(GPU) == "nvidia"
    assert not [line for line in made_up.seen if "WITHOUT" in line]


def test_a_living_owner_is_left_alone(made_up: MadeUpHost) -> None:
    async def hold() -> None:
        async with wanted(made_up).open():
            assert give_back_what_is_left(made_up.host) == []
            assert made_up.driver(GPU) == "vfio-pci"

    asyncio.run(hold())


def test_a_machine_that_outlived_its_owner_keeps_the_device_until_it_ends(made_up: MadeUpHost) -> None:
    crash(made_up)
    made_up.uses(4711, "qemu-system-x86", made_up.root / "dev/vfio/1")
    (found,) = give_back_what_is_left(made_up.host)
    assert "qemu-system-x86 (pid 4711) still holds it" in found.fault
    assert (made_up.driver(GPU), made_up.journals) == ("vfio-pci", [GPU])
    (made_up.root / "proc/4711/fd/0").unlink()
    assert give_back_what_is_left(made_up.host) == [(GPU, "nvidia", "")]


def test_a_driver_that_is_gone_leaves_the_journal(
    made_up: MadeUpHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("environments.vm.handover._PATIENCE_S", 0.2)
    crash(made_up)
    made_up.refuses.add("nvidia")
    (found,) = give_back_what_is_left(made_up.host)
    assert "could not be given back to nvidia" in found.fault
    assert "sudo modprobe nvidia" in found.fault
    made_up.refuses.clear()
    assert give_back_what_is_left(made_up.host) == [(GPU, "nvidia", "")]


async def test_what_cannot_be_given_back_is_said(
    made_up: MadeUpHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("environments.vm.handover._PATIENCE_S", 0.2)
    with pytest.raises(Broken, match="could not be given back to nvidia"):
        async with wanted(made_up).open():
            made_up.refuses.add("nvidia")
    assert made_up.journals == [GPU]


def test_a_journal_from_before_the_last_boot_is_forgotten(made_up: MadeUpHost) -> None:
    crash(made_up)
    made_up.write("proc/sys/kernel/random/boot_id", "another\n")
    made_up.bind(GPU, "amdgpu")
    assert give_back_what_is_left(made_up.host) == []
    assert (made_up.driver(GPU), made_up.journals) == ("amdgpu", [])


def test_a_journal_that_was_cut_short_changed_nothing(made_up: MadeUpHost) -> None:
    made_up.write(f"state/passthrough/{GPU}.json", '{"driver": "nvi')
    assert give_back_what_is_left(made_up.host) == []
    assert (made_up.driver(GPU), made_up.journals, made_up.seen) == ("nvidia", [], [])


def test_a_device_that_was_pulled_out_is_forgotten(made_up: MadeUpHost) -> None:
    crash(made_up)
    device = made_up.pci / "devices" / GPU
    device.rename(made_up.root / "pulled")
    assert give_back_what_is_left(made_up.host) == [(GPU, "nvidia", "")]
    assert made_up.journals == []
