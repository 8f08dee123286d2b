"""What is asked for and cannot be had ends with one line that says what to do."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from environments import Limits, Unavailable
from environments.vm import VirtualMachine, accelerator
from environments.vm.hardware import Hardware
from environments.vm.images import cache

if TYPE_CHECKING:
    from environments.vm.images import Image

pytestmark = pytest.mark.anyio


def folders() -> set[Path]:
    return set(Path(tempfile.gettempdir()).glob("redline-vm-*"))


def has_iommu() -> bool:
    groups = Path("/sys/kernel/iommu_groups")
    return groups.is_dir() and any(groups.iterdir())


async def refused(machines: VirtualMachine) -> str:
    before = folders()
    with pytest.raises(Unavailable) as raised:
        async with machines.open(label="test", seed=0):
            pass
    assert folders() == before
    assert "\n" not in str(raised.value)
    return str(raised.value)


async def test_a_missing_emulator(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    said = await refused(VirtualMachine())
    assert said == "qemu-system-x86_64 is not installed; sudo apt-get install qemu-system-x86"


async def test_no_permission_to_use_kvm(
    image: Image, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    device = tmp_path / "kvm"
    monkeypatch.setattr(accelerator, "_DEVICE", device)
    machines = VirtualMachine(image=str(image.folder), accel="kvm")
    assert "KVM is off; sudo modprobe kvm_intel (or kvm_amd)" in await refused(machines)
    device.touch(mode=0o600)
    device.chmod(0o600 if os.geteuid() == 0 else 0o000)
    said = await refused(machines)
    assert f"no permission to use {device}; sudo " in said
    assert "or choose accel='tcg'" in said
    assert await accelerator.choose("auto", image, Limits()) == "tcg"


@pytest.mark.slow
async def test_kvm_that_opens_but_boots_nothing(
    image: Image, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The emulator is really started with KVM, and finds that it cannot be used."""
    if accelerator._forbidden() is None:
        pytest.skip("KVM may be used here")
    if not accelerator._DEVICE.exists():
        pytest.skip("there is no KVM to be refused by")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(accelerator, "_forbidden", lambda: None)
    machines = VirtualMachine(image=str(image.folder), accel="kvm")
    assert "opens, but no machine boots with it here; choose accel='tcg'" in await refused(machines)
    assert await accelerator.choose("auto", image, Limits()) == "tcg"
    (remembered,) = json.loads((cache() / "accelerators.json").read_text()).values()
    assert remembered is False


async def test_limits_that_no_machine_can_have(image: Image) -> None:
    small = VirtualMachine(image=str(image.folder), accel="tcg", limits=Limits(memory_bytes=64 << 20))
    assert "does not boot in so little memory; give it at least 192 MiB" in await refused(small)
    wide = VirtualMachine(image=str(image.folder), accel="tcg", limits=Limits(disk_bytes=1 << 40))
    assert "too small for these limits; ask for at most" in await refused(wide)


async def test_a_gpu_that_cannot_be_handed_through(image: Image) -> None:
    if has_iommu():
        pytest.skip("this host has an IOMMU")
    said = await refused(VirtualMachine(image=str(image.folder), gpu="0000:65:00.0"))
    assert "the IOMMU is off" in said


def test_nothing_is_shared_with_the_host_on_the_command_line() -> None:
    hardware = Hardware(accel="tcg", memory_bytes=512 << 20, cpus=1, disk_bytes=1 << 28)
    words = hardware.arguments()
    assert words[words.index("-sandbox") + 1].startswith("on,")
    assert "spawn=deny" in words[words.index("-sandbox") + 1]
    assert "-nodefaults" in words
    assert "-no-user-config" in words
    assert not [word for word in words if "fsdev" in word or "9p" in word or "hostfwd" in word]
    assert "romfile=" in next(word for word in words if word.startswith("virtio-net-pci"))
