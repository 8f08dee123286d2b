"""Choosing GPUs to hand over, on a made-up host: every way it can fail, and what is said about it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from made_up_pci import AMD, INTEL, MadeUpHost

from environments import Unavailable
from environments.sandbox.identity import acting_as
from environments.vm.passthrough import Passthrough
from environments.vm.sysfs import Region

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.anyio

GPU, NEIGHBOUR, NIC = "0000:65:00.0", "0000:66:00.0", "0000:65:01.0"
MEMORY = 8 << 30


@pytest.fixture
def made_up(tmp_path: Path) -> Iterator[MadeUpHost]:
    made_up = MadeUpHost(tmp_path)
    made_up.add(GPU)
    with made_up.kernel():
        yield made_up


def wanted(made_up: MadeUpHost, *gpu: str, **options: int) -> Passthrough:
    chosen = gpu or (GPU,)
    return Passthrough(
        gpu=chosen[0] if len(chosen) == 1 else chosen,
        memory_bytes=MEMORY,
        host=made_up.host,
        root=made_up.root,
        **options,
    )


def refusal(made_up: MadeUpHost, *gpu: str, **options: int) -> str:
    with pytest.raises(Unavailable) as caught:
        wanted(made_up, *gpu, **options).examine()
    assert "\n" not in str(caught.value)
    return str(caught.value)


# What is refused, and what is said about it


def test_an_iommu_that_is_off(tmp_path: Path) -> None:
    made_up = MadeUpHost(tmp_path)
    made_up.add(GPU, group=None)
    assert "intel_iommu=on iommu=pt" in refusal(made_up)
    made_up.write("proc/cpuinfo", "vendor_id\t: AuthenticAMD\n")
    assert "amd_iommu=on iommu=pt" in refusal(made_up)


def test_an_address_that_does_not_exist_names_the_nearest(made_up: MadeUpHost) -> None:
    made_up.add("0000:02:00.0", kind="network", group=2, driver="ixgbe", vendor=INTEL)
    said = refusal(made_up, "0000:56:00.0")
    assert said == (
        "there is no PCI device 0000:56:00.0; "
        "the nearest that exists is 0000:65:00.0 (NVIDIA display controller)"
    )


def test_an_address_that_is_none(made_up: MadeUpHost) -> None:
    for text in ("gpu0", "0000:65:00", "0000:65:00.8", "0000:65:00.0,x-vga=on", ""):
        assert "is not a PCI address" in refusal(made_up, text)


def test_an_address_without_its_domain(made_up: MadeUpHost) -> None:
    assert [d.address for d in wanted(made_up, "65:00.0").examine()] == [GPU]


def test_a_device_that_is_no_gpu(made_up: MadeUpHost) -> None:
    made_up.add(NIC, kind="network", group=7, driver="ixgbe", vendor=INTEL)
    assert refusal(made_up, NIC).startswith("0000:65:01.0 (Intel network controller) is not a GPU")


def test_a_gpu_that_is_not_behind_the_iommu(made_up: MadeUpHost) -> None:
    made_up.add(NEIGHBOUR, group=None)
    assert "is not behind the IOMMU" in refusal(made_up, NEIGHBOUR)


def test_an_iommu_group_that_isolates_nothing(made_up: MadeUpHost) -> None:
    made_up.write("sys/kernel/iommu_groups/1/name", "vfio-noiommu\n")
    assert "has no IOMMU behind it" in refusal(made_up)


def test_a_group_that_something_else_uses(made_up: MadeUpHost) -> None:
    made_up.add(NIC, kind="network", driver="ixgbe", vendor=INTEL)
    said = refusal(made_up)
    assert "shares IOMMU group 1 with 0000:65:01.0 (Intel network controller), which ixgbe drives" in said
    assert "/driver/unbind" in said


def test_a_group_with_bridges_and_idle_devices_is_fine(made_up: MadeUpHost) -> None:
    made_up.add("0000:64:00.0", kind="bridge", driver="pcieport", vendor=INTEL)
    made_up.add(NIC, kind="network", driver=None, vendor=INTEL)
    assert [d.address for d in wanted(made_up).examine()] == [GPU]


def test_all_of_a_group_may_be_named(made_up: MadeUpHost) -> None:
    made_up.add(NIC, kind="network", driver="ixgbe", vendor=INTEL)
    assert [d.address for d in wanted(made_up, GPU, NIC).examine()] == [GPU, NIC]


def test_a_bridge_is_never_handed_over(made_up: MadeUpHost) -> None:
    made_up.add("0000:64:00.0", kind="bridge", driver="pcieport", vendor=INTEL)
    assert "is not a GPU" in refusal(made_up, GPU, "0000:64:00.0")


def test_a_gpu_that_a_process_uses(made_up: MadeUpHost) -> None:
    node = made_up.add_node(GPU, "drm/renderD128", "dri/renderD128")
    made_up.uses(812, "Xorg", node)
    assert refusal(made_up) == (
        "0000:65:00.0 (NVIDIA display controller) is used by Xorg (pid 812); end that first"
    )


def test_a_gpu_that_nvidias_driver_hands_out_by_itself(made_up: MadeUpHost) -> None:
    made_up.write(f"proc/driver/nvidia/gpus/{GPU}/information", "Model: \t H200\nDevice Minor: \t 3\n")
    made_up.uses(900, "other", made_up.root / "dev/nvidia4")
    assert wanted(made_up).examine()
    made_up.uses(901, "python3", made_up.root / "dev/nvidia3")
    assert "is used by python3 (pid 901)" in refusal(made_up)


def test_a_module_that_is_not_loaded(made_up: MadeUpHost) -> None:
    for name in ("bind", "unbind"):
        (made_up.pci / "drivers/vfio-pci" / name).unlink()
    (made_up.pci / "drivers/vfio-pci").rmdir()
    assert refusal(made_up) == "the module vfio-pci is not loaded; sudo modprobe vfio-pci"


def test_vfio_without_its_file(made_up: MadeUpHost) -> None:
    (made_up.root / "dev/vfio/vfio").unlink()
    assert "dev/vfio/vfio is missing; sudo modprobe vfio" in refusal(made_up)


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a file to another user, which takes root")
def test_a_group_that_this_user_may_not_open(made_up: MadeUpHost) -> None:
    made_up.bind(GPU, "vfio-pci")
    made_up.write("dev/vfio/1", "").chmod(0o600)
    for folder in (made_up.root, *made_up.root.parents):
        if folder.is_relative_to("/tmp") and folder != Path("/tmp"):  # noqa: S108
            folder.chmod(folder.stat().st_mode | 0o011)
    with acting_as((54321, 54321)):
        said = refusal(made_up)
    assert "this user may not open" in said
    assert 'SUBSYSTEM=="vfio", KERNEL=="1"' in said


def test_memory_that_may_not_be_locked(made_up: MadeUpHost) -> None:
    made_up.locked_memory(str(8 << 20))
    said = refusal(made_up)
    assert said.startswith("8256 MiB of memory have to be locked, 8 MiB may be; ulimit -l unlimited")
    made_up.write("proc/self/status", "Name:\tredline\nCapEff:\t0000000000004000\n")
    assert wanted(made_up).examine(), "CAP_IPC_LOCK needs no limit"


def test_too_few_huge_pages(made_up: MadeUpHost) -> None:
    folder = "sys/kernel/mm/hugepages/hugepages-1048576kB"
    made_up.write(f"{folder}/free_hugepages", "7\n")
    said = refusal(made_up, huge_page_bytes=1 << 30)
    assert said.startswith(
        "8 huge pages of 1024 MiB are needed, 7 are free; boot with hugepagesz=1024M hugep"
    )
    made_up.write(f"{folder}/free_hugepages", "8\n")
    assert wanted(made_up, huge_page_bytes=1 << 30).examine()
    assert "4096 huge pages of 2 MiB are needed, 0 are free" in refusal(made_up, huge_page_bytes=2 << 20)


def test_firmware_that_is_missing(made_up: MadeUpHost) -> None:
    made_up.add(NEIGHBOUR, group=2, bars=(16 << 20, 64 << 30, 32 << 20))
    assert "sudo apt-get install ovmf" in refusal(made_up, NEIGHBOUR)


def test_memory_windows_are_read_as_the_kernel_writes_them(made_up: MadeUpHost) -> None:
    made_up.add(NEIGHBOUR, group=2, bars=(16 << 20, 128 << 30))
    assert made_up.host.device(NEIGHBOUR).regions == (
        Region(16 << 20, prefetchable=False, wide=False),
        Region(128 << 30, prefetchable=True, wide=True),
    )


# Choosing by itself


def test_auto_passes_over_what_is_in_use(made_up: MadeUpHost) -> None:
    (made_up.pci / "devices" / GPU / "boot_vga").write_text("1\n")
    made_up.add(NEIGHBOUR, group=2)
    made_up.uses(77, "python3", made_up.add_node(NEIGHBOUR, "drm/card1", "dri/card1"))
    made_up.add("0000:67:00.0", kind="vga", group=3, driver="i915", vendor=INTEL)
    with pytest.raises(Unavailable) as caught:
        wanted(made_up, "auto").examine()
    said = str(caught.value)
    assert "0000:65:00.0 (NVIDIA display controller) is the display this host booted with" in said
    assert "0000:66:00.0 (NVIDIA display controller) is used by python3 (pid 77)" in said
    assert "Intel" not in said
    made_up.add("0000:68:00.0", kind="vga", group=4, driver="amdgpu", vendor=AMD)
    assert [d.address for d in wanted(made_up, "auto").examine()] == ["0000:68:00.0"]


def test_auto_on_a_host_without_gpus(tmp_path: Path) -> None:
    made_up = MadeUpHost(tmp_path)
    made_up.add(NIC, kind="network", driver="ixgbe", vendor=INTEL)
    assert refusal(made_up, "auto") == "this host has no NVIDIA or AMD GPU"


async def test_auto_takes_the_next_one_where_one_is_taken(made_up: MadeUpHost) -> None:
    made_up.add(NEIGHBOUR, group=2)
    async with wanted(made_up, "auto").open() as first, wanted(made_up, "auto").open() as second:
        assert (first.cards[0][0].host, second.cards[0][0].host) == (GPU, NEIGHBOUR)
        with pytest.raises(Unavailable, match=r"no GPU is free: .*65:00\.0.*another machine.*66:00\.0"):
            await wanted(made_up, "auto").open().__aenter__()
    assert (made_up.driver(GPU), made_up.driver(NEIGHBOUR)) == ("nvidia", "nvidia")


async def test_auto_takes_the_next_one_where_the_kernel_refuses_one(
    made_up: MadeUpHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("environments.vm.handover._PATIENCE_S", 0.2)
    made_up.add(NEIGHBOUR, group=2)
    made_up.refuses.add(GPU)
    made_up.bind(GPU, None)
    async with wanted(made_up, "auto").open() as fittings:
        assert fittings.cards[0][0].host == NEIGHBOUR
        assert made_up.journals == [NEIGHBOUR]


def test_no_name_at_all(made_up: MadeUpHost) -> None:
    with pytest.raises(Unavailable, match="no GPU is named"):
        Passthrough(gpu=(), memory_bytes=MEMORY, host=made_up.host).examine()
