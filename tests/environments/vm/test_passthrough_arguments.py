"""The command line for handed-over devices: as text, read by the real QEMU, and obeyed by it."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from typing import TYPE_CHECKING, Any

import pytest
from made_up_pci import MadeUpHost

from environments import Unavailable
from environments.vm.fittings import Fittings, Function, find_firmware, needs_firmware, window_for
from environments.vm.passthrough import Passthrough

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

QEMU = "qemu-system-x86_64"
GPU, SOUND, SECOND = "0000:65:00.0", "0000:65:00.1", "0000:ca:00.0"
ABSENT = "0000:ff:1f.7"
GIB = 1 << 30

needs_qemu = pytest.mark.skipif(shutil.which(QEMU) is None, reason="qemu-system-x86 is not installed")
BARE = (*("-nodefaults", "-no-user-config", "-display", "none", "-S"), *("-serial", "none"))


@pytest.fixture
def made_up(tmp_path: Path) -> Iterator[MadeUpHost]:
    made_up = MadeUpHost(tmp_path)
    for name in ("OVMF_CODE_4M.fd", "OVMF_VARS_4M.fd"):
        made_up.write(f"usr/share/OVMF/{name}", "")
    with made_up.kernel():
        yield made_up


# As text


@pytest.mark.anyio
async def test_a_large_gpu_gets_all_it_needs(made_up: MadeUpHost) -> None:
    made_up.add(GPU, bars=(16 << 20, 128 * GIB, 32 << 20))
    made_up.add(SOUND, kind="sound", driver="snd_hda_intel")
    made_up.add(SECOND, group=2, bars=(16 << 20, 128 * GIB, 32 << 20))
    made_up.write("sys/kernel/mm/hugepages/hugepages-1048576kB/free_hugepages", "64\n")
    both = Passthrough(
        gpu=(GPU, SECOND), memory_bytes=64 * GIB, huge_page_bytes=GIB, host=made_up.host, root=made_up.root
    )
    async with both.open() as fittings:
        line = " ".join(fittings.command_line(variables=made_up.root / "vars.fd"))
    assert line == (
        "-machine q35,kernel_irqchip=on,memory-backend=ram -accel kvm -cpu host -m 65536 "
        "-object memory-backend-memfd,id=ram,size=65536M,hugetlb=on,hugetlbsize=1024M,prealloc=on "
        "-global q35-pcihost.pci-hole64-size=512G -fw_cfg name=opt/ovmf/X-PciMmio64Mb,string=524288 "
        f"-drive if=pflash,format=raw,unit=0,readonly=on,file={made_up.root}/usr/share/OVMF/OVMF_CODE_4M.fd "
        f"-drive if=pflash,format=raw,unit=1,file={made_up.root}/vars.fd "
        "-device pcie-root-port,id=port0,bus=pcie.0,addr=0x10,chassis=1,slot=1 "
        "-device vfio-pci,host=0000:65:00.0,id=card0-0,bus=port0,addr=00.0,multifunction=on "
        "-device vfio-pci,host=0000:65:00.1,id=card0-1,bus=port0,addr=00.1 "
        "-device pcie-root-port,id=port1,bus=pcie.0,addr=0x11,chassis=2,slot=2 "
        "-device vfio-pci,host=0000:ca:00.0,id=card1-0,bus=port1,addr=00.0"
    )


@pytest.mark.anyio
async def test_a_small_gpu_gets_no_more_than_it_needs(made_up: MadeUpHost) -> None:
    made_up.add(GPU, bars=(16 << 20, 256 << 20, 32 << 20))
    async with Passthrough(gpu=GPU, memory_bytes=4 * GIB, host=made_up.host).open() as fittings:
        assert " ".join(fittings.command_line()) == (
            "-machine q35,kernel_irqchip=on -accel kvm -cpu host -m 4096 "
            "-device pcie-root-port,id=port0,bus=pcie.0,addr=0x10,chassis=1,slot=1 "
            "-device vfio-pci,host=0000:65:00.0,id=card0-0,bus=port0,addr=00.0"
        )


@pytest.mark.parametrize(
    ("sizes", "window"),
    [((), 0), ((256 << 20,), 512 << 20), ((24 * GIB,), 64 * GIB), ((128 * GIB, 256 << 20), 512 * GIB)],
)
def test_the_window_has_room_to_align(made_up: MadeUpHost, sizes: tuple[int, ...], window: int) -> None:
    made_up.add(GPU, bars=sizes)
    assert window_for([made_up.host.device(GPU)]) == window


def test_only_large_windows_need_firmware(made_up: MadeUpHost) -> None:
    made_up.add(GPU, bars=(16 << 20, 256 << 20, 32 << 20))
    made_up.add(SECOND, group=2, bars=(16 << 20, 128 * GIB))
    assert not needs_firmware([made_up.host.device(GPU)])
    assert needs_firmware([made_up.host.device(SECOND)])


@pytest.mark.parametrize(
    ("code", "variables"),
    [
        ("usr/share/OVMF/OVMF_CODE_4M.fd", "usr/share/OVMF/OVMF_VARS_4M.fd"),
        ("usr/share/edk2/ovmf/OVMF_CODE.fd", "usr/share/edk2/ovmf/OVMF_VARS.fd"),
    ],
)
def test_firmware_is_found_where_distributions_put_it(tmp_path: Path, code: str, variables: str) -> None:
    for name in (code, variables):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = find_firmware(tmp_path)
    assert (found.code, found.variables) == (tmp_path / code, tmp_path / variables)
    (tmp_path / variables).unlink()
    with pytest.raises(Unavailable, match="dnf install edk2-ovmf"):
        find_firmware(tmp_path)


def test_a_display_is_asked_for_by_name() -> None:
    fittings = Fittings(cards=((Function(host=GPU, display=True),),), memory_bytes=GIB)
    assert fittings.arguments()[-1].endswith(",x-vga=on")


def test_there_is_room_for_eight_cards() -> None:
    cards = tuple((Function(host=f"0000:{bus:02x}:00.0"),) for bus in range(9))
    assert "addr=0x17" in " ".join(Fittings(cards=cards[:8], memory_bytes=GIB).arguments())
    with pytest.raises(ValueError, match="at most 8"):
        Fittings(cards=cards, memory_bytes=GIB).arguments()


# As QEMU reads it


def complaint(*arguments: str) -> str:
    done = subprocess.run([QEMU, *BARE, *arguments], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1, done.stderr
    return done.stderr.strip()


@needs_qemu
def test_qemu_understands_every_option_and_misses_only_the_device(tmp_path: Path) -> None:
    variables = tmp_path / "vars.fd"
    firmware = find_firmware()
    shutil.copyfile(firmware.variables, variables)
    fittings = Fittings(
        cards=((Function(host=ABSENT), Function(host="0000:ff:1f.6")),),
        memory_bytes=GIB,
        window_bytes=512 * GIB,
        firmware=firmware,
        accelerated=False,
    )
    said = complaint(*fittings.command_line(variables=variables))
    assert said.endswith(
        f"-device vfio-pci,host={ABSENT},id=card0-0,bus=port0,addr=00.0,multifunction=on: "
        f"vfio /sys/bus/pci/devices/{ABSENT}: no such host device: No such file or directory"
    )
    assert len(said.splitlines()) == 1


@needs_qemu
def test_qemu_would_have_said_so_of_an_option_it_does_not_know() -> None:
    fittings = Fittings(cards=((Function(host=f"{ABSENT},bogus=1"),),), memory_bytes=GIB, accelerated=False)
    assert "Property 'vfio-pci.bogus' not found" in complaint(*fittings.command_line())


@needs_qemu
def test_qemu_understands_what_only_real_hardware_gets() -> None:
    """The very line for a real GPU, but for the accelerator and the processor that are not to be had here."""
    real = Fittings(cards=((Function(host=ABSENT, display=True),),), memory_bytes=GIB)
    line = [{"kvm": "tcg", "host": "max"}.get(text, text) for text in real.command_line()]
    assert "q35,kernel_irqchip=on" in line
    assert "no such host device" in complaint(*line)
    huge = Fittings(cards=(), memory_bytes=1 << 44, huge_page_bytes=GIB, accelerated=False)
    said = complaint(*huge.command_line())
    assert "not found" not in said
    assert "hugetlb" in said or "Cannot allocate memory" in said, said


# As QEMU obeys it


class Monitor:
    """A paused machine and its QMP socket."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        path = folder / "qmp"
        qmp = ("-qmp", f"unix:{path},server=on,wait=off")
        self._process = subprocess.Popen([QEMU, *BARE, *qmp, *arguments], stderr=subprocess.PIPE)
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(30)
        deadline = time.monotonic() + 30
        while True:
            try:
                self._socket.connect(str(path))
                break
            except OSError:
                assert self._process.poll() is None, self._process.communicate()[1].decode()
                assert time.monotonic() < deadline
                time.sleep(0.02)
        self._lines = self._socket.makefile("r")
        self._lines.readline()
        self.ask("qmp_capabilities")

    def ask(self, what: str, **arguments: object) -> Any:
        self._socket.sendall(json.dumps({"execute": what, "arguments": arguments}).encode() + b"\n")
        while True:
            answer = json.loads(self._lines.readline())
            if "return" in answer or "error" in answer:
                assert "return" in answer, answer
                return answer["return"]

    def close(self) -> None:
        self._lines.close()
        self._socket.close()
        self._process.kill()
        self._process.communicate()


EMULATED = Fittings(
    cards=(
        (Function(driver="edu"), Function(driver="pci-testdev")),
        (Function(driver="secondary-vga"),),
    ),
    memory_bytes=256 << 20,
    window_bytes=64 * GIB,
    accelerated=False,
)


@pytest.fixture
def monitor(tmp_path: Path) -> Iterator[Monitor]:
    monitor = Monitor(tmp_path, *EMULATED.command_line())
    yield monitor
    monitor.close()


def devices(monitor: Monitor) -> dict[str, dict[str, Any]]:
    (bus,) = monitor.ask("query-pci")
    return {device["qdev_id"]: device for device in bus["devices"] if device["qdev_id"]}


@needs_qemu
def test_qemu_puts_the_ports_where_they_were_asked_for(monitor: Monitor) -> None:
    assert monitor.ask("query-status")["status"] == "prelaunch"
    ports = devices(monitor)
    assert {name: (p["bus"], p["slot"], p["function"]) for name, p in ports.items()} == {
        "port0": (0, 0x10, 0),
        "port1": (0, 0x11, 0),
    }
    window = monitor.ask("qom-get", path="/machine/q35", property="pci-hole64-size")
    assert window == 64 * GIB


@needs_qemu
def test_qemu_puts_each_card_behind_its_port(monitor: Monitor) -> None:
    """Buses have numbers only once the firmware has given them out, which takes it a moment."""
    monitor.ask("cont")
    deadline = time.monotonic() + 30
    while True:
        behind = {n: p["pci_bridge"].get("devices", []) for n, p in devices(monitor).items()}
        if all(behind.values()):
            break
        assert time.monotonic() < deadline
        time.sleep(0.1)
    found = {
        port: {card["qdev_id"]: (card["slot"], card["function"], card["id"]["device"]) for card in cards}
        for port, cards in behind.items()
    }
    assert found == {
        "port0": {"card0-0": (0, 0, 0x11E8), "card0-1": (0, 1, 5)},
        "port1": {"card1-0": (0, 0, 0x1111)},
    }
