"""What the command line of a virtual machine says about devices that are handed through to it.

The driver of a device is an argument: `vfio-pci` for one of the host, or the name of one that QEMU emulates,
which then sits in the same place.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from environments.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from environments.vm.sysfs import PciDevice

__all__ = ["Firmware", "Fittings", "Function", "find_firmware", "needs_firmware", "window_for"]

_FIRST_PORT = 0x10
"""Slot of the first root port: above those that a machine gives out by itself, below its chipset's."""
_MOST_CARDS = 8
_DEFAULT_WINDOW = 32 << 30
"""What q35 and OVMF leave for memory windows above the machine's memory when nobody asks."""
_ROOM_BELOW = 1 << 30
"""Windows of more than this in all do not fit below 4 GiB, where a legacy BIOS would put them."""
_FIRMWARE = (
    # Debian, Ubuntu; then Fedora; then Arch
    ("usr/share/OVMF/OVMF_CODE_4M.fd", "usr/share/OVMF/OVMF_VARS_4M.fd"),
    ("usr/share/OVMF/OVMF_CODE.fd", "usr/share/OVMF/OVMF_VARS.fd"),
    ("usr/share/edk2/ovmf/OVMF_CODE.fd", "usr/share/edk2/ovmf/OVMF_VARS.fd"),
    ("usr/share/edk2/x64/OVMF_CODE.4m.fd", "usr/share/edk2/x64/OVMF_VARS.4m.fd"),
)


@dataclass(frozen=True, kw_only=True)
class Firmware:
    """A UEFI firmware for the machine."""

    code: Path
    variables: Path
    """What a machine's own, writable copy is made from."""


@dataclass(frozen=True, kw_only=True)
class Function:
    """One function of a card in the machine."""

    driver: str = "vfio-pci"
    host: str = ""
    """Address on the host; nothing for an emulated one."""
    display: bool = False
    """It is the machine's legacy VGA display: only where a monitor hangs on it and the firmware is a BIOS."""


@dataclass(frozen=True, kw_only=True)
class Fittings:
    """All that a machine's command line needs for what is handed through to it."""

    cards: tuple[tuple[Function, ...], ...]
    """Functions of one card share a root port, each card has its own."""
    memory_bytes: int
    huge_page_bytes: int = 0
    """Size of the pages that the machine's memory is made of; 0 for ordinary ones."""
    window_bytes: int = 0
    """Room for the cards' memory windows above 4 GiB; 0 for as much as there is anyway."""
    firmware: Firmware | None = None
    accelerated: bool = True
    """KVM. Without it the emulated devices can still be tried out."""

    @property
    def machine(self) -> str:
        """The value of `-machine`."""
        parts = ["q35"]
        if self.accelerated:
            parts.append("kernel_irqchip=on")
        if self.huge_page_bytes:
            parts.append("memory-backend=ram")
        return ",".join(parts)

    @property
    def cpu(self) -> str:
        """The value of `-cpu`."""
        return "host" if self.accelerated else "max"

    def arguments(self, *, variables: Path | None = None) -> list[str]:
        """Return everything but `-machine`, `-cpu` and `-m`.

        Args:
            variables: the machine's own copy of the firmware's variables; needed where there is firmware.
        """
        return [
            *self._memory(),
            *self._window(),
            *self._pflash(variables),
            *(text for number, card in enumerate(self.cards) for text in _card(number, card)),
        ]

    def command_line(self, *, variables: Path | None = None) -> list[str]:
        """Return the whole of it."""
        accelerator = "kvm" if self.accelerated else "tcg"
        return [
            *("-machine", self.machine, "-accel", accelerator, "-cpu", self.cpu),
            *("-m", f"{self.memory_bytes >> 20}"),
            *self.arguments(variables=variables),
        ]

    def _memory(self) -> list[str]:
        if not self.huge_page_bytes:
            return []
        pages = f"hugetlb=on,hugetlbsize={self.huge_page_bytes >> 20}M,prealloc=on"
        return ["-object", f"memory-backend-memfd,id=ram,size={self.memory_bytes >> 20}M,{pages}"]

    def _window(self) -> list[str]:
        if self.window_bytes <= _DEFAULT_WINDOW:
            return []
        text = ["-global", f"q35-pcihost.pci-hole64-size={self.window_bytes >> 30}G"]
        if self.firmware is not None:
            text += ["-fw_cfg", f"name=opt/ovmf/X-PciMmio64Mb,string={self.window_bytes >> 20}"]
        return text

    def _pflash(self, variables: Path | None) -> list[str]:
        if self.firmware is None:
            return []
        if variables is None:
            raise ValueError("firmware needs a copy of its variables for this machine")
        pflash = "if=pflash,format=raw"
        code = f"{pflash},unit=0,readonly=on,file={self.firmware.code}"
        return ["-drive", code, "-drive", f"{pflash},unit=1,file={variables}"]


def _card(number: int, functions: Sequence[Function]) -> list[str]:
    if number >= _MOST_CARDS:
        raise ValueError(f"at most {_MOST_CARDS} cards can be handed to one machine")
    slot = f"0x{_FIRST_PORT + number:x}"
    port = f"pcie-root-port,id=port{number},bus=pcie.0,addr={slot},chassis={number + 1},slot={number + 1}"
    text = ["-device", port]
    for place, function in enumerate(functions):
        parts = [function.driver]
        if function.host:
            parts.append(f"host={function.host}")
        parts += [f"id=card{number}-{place}", f"bus=port{number}", f"addr=00.{place}"]
        if place == 0 and len(functions) > 1:
            parts.append("multifunction=on")
        if function.display:
            parts.append("x-vga=on")
        text += ["-device", ",".join(parts)]
    return text


def window_for(devices: Iterable[PciDevice]) -> int:
    """Return the bytes of address space that 64-bit memory windows need, room to align included."""
    needed = sum(region.size for device in devices for region in device.regions if region.wide)
    return 1 << (2 * needed - 1).bit_length() if needed else 0


def needs_firmware(devices: Iterable[PciDevice]) -> bool:
    """Whether a legacy BIOS could not place the devices' memory windows."""
    return sum(region.size for device in devices for region in device.regions) > _ROOM_BELOW


def find_firmware(root: Path = Path("/")) -> Firmware:
    """Find the UEFI firmware that the distribution ships for QEMU.

    Raises:
        Unavailable: there is none.
    """
    for code, variables in _FIRMWARE:
        if (root / code).exists() and (root / variables).exists():
            return Firmware(code=root / code, variables=root / variables)
    raise Unavailable(
        "no OVMF firmware is installed, which a GPU with large memory windows needs",
        mend="sudo apt-get install ovmf, or sudo dnf install edk2-ovmf",
    )
