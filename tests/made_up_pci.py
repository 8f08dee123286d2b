"""Files that look like a host's /sys, /dev and /proc, and a thread that answers them as a kernel would."""

from __future__ import annotations

import json
import os
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from environments.vm.sysfs import Host

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["BOOT_ID", "MadeUpHost"]

BOOT_ID = "11111111-2222-3333-4444-555555555555"
NVIDIA, AMD, INTEL = 0x10DE, 0x1002, 0x8086
_MEMORY, _WIDE = 0x200, 0x10_220C
_DRIVERS = ("vfio-pci", "nvidia", "amdgpu", "snd_hda_intel", "ixgbe", "pcieport")
_CLASSES = {"vga": 0x030000, "3d": 0x030200, "sound": 0x040300, "network": 0x020000, "bridge": 0x060400}


class MadeUpHost:
    """An Intel host with its IOMMU on, vfio-pci loaded, and no devices yet."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.host = Host(sys=root / "sys", dev=root / "dev", proc=root / "proc", state=root / "state")
        self.pci = root / "sys/bus/pci"
        self.write("sys/bus/pci/drivers_probe", "")
        (root / "sys/kernel/iommu_groups").mkdir(parents=True)
        self.pci.joinpath("devices").mkdir()
        for driver in _DRIVERS:
            self.add_driver(driver)
        self.write("dev/vfio/vfio", "")
        self.write("proc/cpuinfo", "vendor_id\t: GenuineIntel\n")
        self.write("proc/self/status", "Name:\tredline\nCapEff:\t0000000000000000\n")
        self.locked_memory("unlimited")
        self.write("proc/sys/kernel/random/boot_id", f"{BOOT_ID}\n")
        self.refuses: set[str] = set()
        """Drivers that take no device, and devices that no driver takes."""
        self.seen: list[str] = []
        """What the kernel did, and whether a journal was there first."""

    def write(self, name: str, text: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def add_driver(self, name: str) -> None:
        for file in ("bind", "unbind"):
            self.write(f"sys/bus/pci/drivers/{name}/{file}", "")

    def locked_memory(self, text: str) -> None:
        self.write(
            "proc/self/limits",
            f"Limit  Soft  Hard  Units\nMax locked memory         {text}   {text}  bytes\n",
        )

    def add(
        self,
        address: str,
        *,
        kind: str = "3d",
        group: int | None = 1,
        driver: str | None = "nvidia",
        vendor: int = NVIDIA,
        bars: tuple[int, ...] = (16 << 20,),
    ) -> Path:
        device = self.pci / "devices" / address
        device.mkdir()
        (device / "vendor").write_text(f"0x{vendor:04x}\n")
        (device / "class").write_text(f"0x{_CLASSES[kind]:06x}\n")
        (device / "driver_override").write_text("(null)\n")
        lines, at = [], 1 << 40
        for size in bars:
            flags = _WIDE if size >= 256 << 20 else _MEMORY
            lines.append(f"0x{at:016x} 0x{at + size - 1:016x} 0x{flags:016x}")
            at += size
        lines += ["0x0000000000000000 0x0000000000000000 0x0000000000000000"] * (13 - len(lines))
        (device / "resource").write_text("\n".join(lines) + "\n")
        if group is not None:
            folder = self.root / f"sys/kernel/iommu_groups/{group}/devices"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / address).symlink_to(device)
            (device / "iommu_group").symlink_to(folder.parent)
        self.bind(address, driver)
        return device

    def bind(self, address: str, driver: str | None) -> None:
        link = self.pci / "devices" / address / "driver"
        link.unlink(missing_ok=True)
        if driver is not None:
            link.symlink_to(self.pci / "drivers" / driver)
        if driver == "vfio-pci" and (group := self.group(address)):
            self.write(f"dev/vfio/{group}", "")

    def group(self, address: str) -> str | None:
        link = self.pci / "devices" / address / "iommu_group"
        return link.readlink().name if link.exists() else None

    def driver(self, address: str) -> str | None:
        link = self.pci / "devices" / address / "driver"
        return link.readlink().name if link.is_symlink() else None

    def override(self, address: str) -> str:
        return (self.pci / "devices" / address / "driver_override").read_text().strip()

    def uses(self, pid: int, name: str, path: Path | str) -> None:
        """Let a process hold a file open."""
        self.write(f"proc/{pid}/comm", f"{name}\n")
        folder = self.root / f"proc/{pid}/fd"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / str(len(list(folder.iterdir())))).symlink_to(path)

    def add_node(self, address: str, folder: str, name: str) -> str:
        """Give a device a file in /dev, as a driver does."""
        place = f"sys/bus/pci/devices/{address}/{folder}"
        self.write(f"{place}/dev", "226:0\n")
        self.write(f"{place}/uevent", f"MAJOR=226\nMINOR=0\nDEVNAME={name}\n")
        return str(self.root / "dev" / name)

    @property
    def journals(self) -> list[str]:
        folder = self.host.state / "passthrough"
        return sorted(path.stem for path in folder.iterdir()) if folder.exists() else []

    # The kernel

    @contextmanager
    def kernel(self) -> Iterator[None]:
        """Answer what is written into the tree until the end of the block."""
        over = threading.Event()

        def live() -> None:
            while not over.wait(0.002):
                self._turn()

        thread = threading.Thread(target=live)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _turn(self) -> None:
        for driver in (self.pci / "drivers").iterdir():
            for address in self._taken(driver / "unbind"):
                self._note(f"unbind {address} {driver.name}", address)
                self.bind(address, None)
            for address in self._taken(driver / "bind"):
                self._note(f"bind {address} {driver.name}", address)
                self._probe(address, driver.name)
        for address in self._taken(self.pci / "drivers_probe"):
            self._note(f"probe {address}", address)
            self._probe(address, self.override(address))

    def _probe(self, address: str, driver: str) -> None:
        reserved = self.override(address)
        fits = reserved in {"", "(null)", driver}
        if fits and not self.refuses & {driver, address} and (self.pci / "drivers" / driver).is_dir():
            self.bind(address, driver)

    def _note(self, text: str, address: str) -> None:
        journal = self.host.state / "passthrough" / f"{address}.json"
        known = False
        with suppress(OSError, ValueError):
            known = "driver" in json.loads(journal.read_text())
        self.seen.append(f"{text}{'' if known else ' WITHOUT JOURNAL'}")

    @staticmethod
    def _taken(path: Path) -> list[str]:
        text = path.read_text().split()
        if text:
            os.truncate(path, 0)
        return text
