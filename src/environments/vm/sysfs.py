"""PCI devices as the kernel shows them in sysfs: what they are, who drives them, what they share.

Nothing here changes anything. The roots of /sys, /dev and /proc are arguments, so that any tree of files
that looks like them can be read.
"""

from __future__ import annotations

import difflib
import os
import re
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from environments.errors import Unavailable

__all__ = ["Host", "PciDevice", "Region", "User", "state_directory"]

_ADDRESS = re.compile(r"(?:([0-9a-f]{4}):)?([0-9a-f]{2}):([0-9a-f]{2})\.([0-7])")
_NVIDIA, _AMD = 0x10DE, 0x1002
_MAKERS = {_NVIDIA: "NVIDIA", _AMD: "AMD", 0x8086: "Intel"}
_DISPLAY, _ACCELERATOR, _BRIDGE = 0x03, 0x12, 0x06
_KINDS = {
    0x01: "storage controller",
    0x02: "network controller",
    _DISPLAY: "display controller",
    0x04: "multimedia device",
    _BRIDGE: "bridge",
    0x0C: "serial bus controller",
    _ACCELERATOR: "processing accelerator",
}
# linux/ioport.h
_MEMORY, _PREFETCHABLE, _WIDE = 0x200, 0x2000, 0x100000
_BARS = 6


def state_directory() -> Path:
    """Return where this user's redline keeps what must outlive it."""
    if os.geteuid() == 0:
        return Path("/var/lib/redline")
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "redline"


class Region(NamedTuple):
    """One memory window of a device (a BAR)."""

    size: int
    prefetchable: bool
    wide: bool
    """It may lie above 4 GiB."""


class User(NamedTuple):
    """A process that holds a device open."""

    pid: int
    name: str

    def __str__(self) -> str:
        return f"{self.name} (pid {self.pid})"


@dataclass(frozen=True)
class PciDevice:
    """One function of a PCI device. Properties are read anew each time: drivers come and go."""

    address: str
    path: Path

    def _hex(self, name: str) -> int:
        return int((self.path / name).read_text(), 16)

    @property
    def vendor(self) -> int:
        """Number of its maker."""
        return self._hex("vendor")

    @property
    def class_code(self) -> int:
        """Class, subclass and interface, as in 0x030200."""
        return self._hex("class")

    @property
    def is_gpu(self) -> bool:
        """A display controller, a 3D controller, or an accelerator of the kind that has no display."""
        return self.class_code >> 16 in {_DISPLAY, _ACCELERATOR}

    @property
    def is_bridge(self) -> bool:
        """It connects buses, and is never handed over."""
        return self.class_code >> 16 == _BRIDGE

    @property
    def is_nvidia_or_amd(self) -> bool:
        """Its maker is one whose GPUs are for computing."""
        return self.vendor in {_NVIDIA, _AMD}

    @property
    def is_boot_display(self) -> bool:
        """The firmware and the console of this host use it."""
        with suppress(FileNotFoundError):
            return (self.path / "boot_vga").read_text().strip() == "1"
        return False

    @property
    def slot(self) -> str:
        """Its address without the function: functions of one slot are one card."""
        return self.address.rpartition(".")[0]

    @property
    def driver(self) -> str | None:
        """The driver that is bound to it."""
        with suppress(FileNotFoundError):
            return (self.path / "driver").readlink().name
        return None

    @property
    def group(self) -> int | None:
        """Its IOMMU group."""
        with suppress(FileNotFoundError):
            return int((self.path / "iommu_group").readlink().name)
        return None

    @property
    def override(self) -> str:
        """The driver it is reserved for, or nothing."""
        text = (self.path / "driver_override").read_text().strip()
        return "" if text == "(null)" else text

    @property
    def regions(self) -> tuple[Region, ...]:
        """Its memory windows, unused ones left out."""
        found = []
        for line in (self.path / "resource").read_text().splitlines()[:_BARS]:
            start, end, flags = (int(word, 16) for word in line.split())
            if flags & _MEMORY and end > start:
                found.append(Region(end - start + 1, bool(flags & _PREFETCHABLE), bool(flags & _WIDE)))
        return tuple(found)

    def __str__(self) -> str:
        kind = _KINDS.get(self.class_code >> 16, f"class 0x{self.class_code:06x}")
        return f"{self.address} ({_MAKERS.get(self.vendor, f'0x{self.vendor:04x}')} {kind})"


@dataclass(frozen=True, kw_only=True)
class Host:
    """Where a host's kernel shows itself, and where redline keeps its journals there."""

    sys: Path = Path("/sys")
    dev: Path = Path("/dev")
    proc: Path = Path("/proc")
    state: Path = field(default_factory=state_directory)

    @property
    def pci(self) -> Path:
        """The PCI bus."""
        return self.sys / "bus/pci"

    @property
    def has_iommu(self) -> bool:
        """The kernel keeps devices apart."""
        groups = self.sys / "kernel/iommu_groups"
        return groups.is_dir() and any(groups.iterdir())

    def devices(self) -> list[PciDevice]:
        """Every PCI device, by address."""
        found = sorted((self.pci / "devices").iterdir()) if (self.pci / "devices").is_dir() else []
        return [PciDevice(path.name, path) for path in found]

    def device(self, address: str) -> PciDevice:
        """Find a device by its address, with or without the domain.

        Raises:
            Unavailable: there is none; the message names the nearest that exists.
        """
        parts = _ADDRESS.fullmatch(address.lower())
        if parts is None:
            raise Unavailable(
                f"{address!r} is not a PCI address",
                mend="write it as `lspci -D` prints it, for example 0000:65:00.0",
            )
        domain, bus, slot, function = parts.groups()
        whole = f"{domain or '0000'}:{bus}:{slot}.{function}"
        known = {device.address: device for device in self.devices()}
        if whole not in known:
            gpus = [a for a, device in known.items() if device.is_gpu]
            near = difflib.get_close_matches(whole, gpus or known, n=1, cutoff=0)
            mend = (
                f"the nearest that exists is {known[near[0]]}" if near else "`lspci -D` lists what there is"
            )
            raise Unavailable(f"there is no PCI device {whole}", mend=mend)
        return known[whole]

    def members(self, group: int) -> list[PciDevice]:
        """Return the devices of an IOMMU group: DMA of any of them can reach what the others are given."""
        names = sorted(p.name for p in (self.sys / f"kernel/iommu_groups/{group}/devices").iterdir())
        return [PciDevice(name, self.pci / "devices" / name) for name in names]

    def users(self, device: PciDevice) -> list[User]:
        """Return the processes that hold a device's files open, those that may be looked at."""
        return self.holders(self._nodes(device))

    def _nodes(self, device: PciDevice) -> set[str]:
        """Paths of the device files that belong to a device."""
        names = set()
        for place, _, files in os.walk(device.path):
            if "dev" in files and "uevent" in files:
                lines = Path(place, "uevent").read_text().splitlines()
                names |= {line.removeprefix("DEVNAME=") for line in lines if line.startswith("DEVNAME=")}
        # NVIDIA's driver makes its files without telling sysfs.
        with suppress(OSError):
            text = (self.proc / f"driver/nvidia/gpus/{device.address}/information").read_text()
            names |= {f"nvidia{number}" for number in re.findall(r"Device Minor:\s*(\d+)", text)}
        return {str(self.dev / name) for name in names}

    def holders(self, nodes: set[str]) -> list[User]:
        """Return the processes that hold any of these files open."""
        found = []
        for process in self.proc.iterdir() if nodes else ():
            if process.name.isdigit():
                with suppress(OSError):  # ended meanwhile, or not ours to see
                    links = {str(link.readlink()) for link in (process / "fd").iterdir()}
                    if links & nodes:
                        found.append(User(int(process.name), (process / "comm").read_text().strip()))
        return sorted(found)

    def locked_memory(self) -> int | None:
        """How many bytes this process may lock into memory; None for any number."""
        status = (self.proc / "self/status").read_text()
        effective = next(line.split()[1] for line in status.splitlines() if line.startswith("CapEff:"))
        if int(effective, 16) >> 14 & 1:  # CAP_IPC_LOCK
            return None
        name = "Max locked memory"
        lines = (self.proc / "self/limits").read_text().splitlines()
        value = next(line[len(name) :].split()[0] for line in lines if line.startswith(name))
        return None if value == "unlimited" else int(value)

    def free_huge_pages(self, size: int) -> int:
        """How many huge pages of so many bytes are free."""
        with suppress(FileNotFoundError):
            return int((self._huge(size) / "free_hugepages").read_text())
        return 0

    def _huge(self, size: int) -> Path:
        return self.sys / f"kernel/mm/hugepages/hugepages-{size >> 10}kB"
