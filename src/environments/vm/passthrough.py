"""Hands GPUs of the host to a virtual machine, or says in one line what keeps it from that."""

from __future__ import annotations

import asyncio
import errno
import os
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from environments.endings import to_the_end
from environments.errors import Broken, EnvironmentFault, Unavailable
from environments.vm.fittings import Fittings, Function, find_firmware, needs_firmware, window_for
from environments.vm.handover import VFIO, Hold, give_back_what_is_left, group_node, take, until
from environments.vm.sysfs import Host

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from environments.vm.sysfs import PciDevice

__all__ = ["Passthrough"]

_PINNED_BESIDES = 64 << 20
"""Bytes that QEMU locks besides the machine's memory."""
_NODE_S = 5.0
_HARMLESS_DRIVERS = (None, VFIO, "pci-stub")


@dataclass(frozen=True, kw_only=True)
class Passthrough:
    """GPUs that a machine is to be given.

    Args:
        gpu: one PCI address or several, or "auto" for any NVIDIA or AMD GPU that nobody uses.
        memory_bytes: the machine's memory, all of which is locked.
        huge_page_bytes: 2 MiB or 1 GiB to take the memory from the host's huge pages; 0 for ordinary ones.
        host: where the kernel shows its devices.
        root: where the distribution's firmware is looked for.
    """

    gpu: str | tuple[str, ...]
    memory_bytes: int
    huge_page_bytes: int = 0
    host: Host = field(default_factory=Host)
    root: Path = Path("/")

    def examine(self) -> list[PciDevice]:
        """Return what would be handed over. Nothing is changed.

        Raises:
            Unavailable: it cannot be; the message says what to do about it.
        """
        return self._candidates()[0]

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[Fittings, None]:
        """Take the GPUs from their drivers; give them back on leaving, whatever happens.

        Raises:
            Unavailable: it cannot be done here; the message says what to do about it.
            Broken: a GPU could not be given back. Its journal stays: the next start tries again.
        """
        holds: list[Hold] = []
        try:
            fittings = await to_the_end(asyncio.to_thread(lambda: self._acquire(holds)))
            yield fittings
        finally:
            await to_the_end(asyncio.to_thread(lambda: _give_back(holds)))

    def _acquire(self, holds: list[Hold]) -> Fittings:
        give_back_what_is_left(self.host)
        refused: list[str] = []
        for devices in self._candidates():
            try:
                self._take(devices, holds)
            except (Unavailable, Broken) as fault:
                if self.gpu != "auto":
                    raise
                _give_back(holds)
                refused.append(str(fault))
            else:
                return self._fittings(devices)
        raise Unavailable(f"no GPU is free: {'; '.join(refused)}")

    def _take(self, devices: Sequence[PciDevice], holds: list[Hold]) -> None:
        for device in devices:
            hold = take(self.host, device)
            holds.append(hold)
        for hold in holds:
            hold.bind()
        for group in sorted({device.group for device in devices if device.group is not None}):
            self._check_node(group)

    def _fittings(self, devices: Sequence[PciDevice]) -> Fittings:
        cards: dict[str, list[Function]] = {}
        for device in devices:
            cards.setdefault(device.slot, []).append(Function(host=device.address))
        return Fittings(
            cards=tuple(tuple(card) for card in cards.values()),
            memory_bytes=self.memory_bytes,
            huge_page_bytes=self.huge_page_bytes,
            window_bytes=window_for(devices),
            firmware=find_firmware(self.root) if needs_firmware(devices) else None,
        )

    # What is to be handed over

    def _candidates(self) -> list[list[PciDevice]]:
        """Return sets of devices that may be handed over, each of them with all that belongs to it."""
        self._check_host()
        if self.gpu != "auto":
            wanted = (self.gpu,) if isinstance(self.gpu, str) else self.gpu
            if not wanted:
                raise Unavailable("no GPU is named", mend='name one by its address, or say "auto"')
            devices = self._with_companions([self.host.device(address) for address in wanted])
            for device in devices:
                self._check_device(device, devices)
            self._check_firmware(devices)
            return [devices]
        found, refused = [], []
        for gpu in self.host.devices():
            if gpu.is_gpu and gpu.is_nvidia_or_amd:
                try:
                    found.append(self._unused(gpu))
                except Unavailable as fault:
                    refused.append(str(fault))
        if not found:
            why = "; ".join(refused)
            raise Unavailable(f"no GPU is free: {why}" if why else "this host has no NVIDIA or AMD GPU")
        return found

    def _unused(self, gpu: PciDevice) -> list[PciDevice]:
        if gpu.is_boot_display:
            raise Unavailable(f"{gpu} is the display this host booted with")
        devices = self._with_companions([gpu])
        for device in devices:
            self._check_device(device, devices)
        self._check_firmware(devices)
        return devices

    def _with_companions(self, wanted: Sequence[PciDevice]) -> list[PciDevice]:
        """Add the other functions of the same cards: the sound of a display, its USB port."""
        found = {device.address: device for device in wanted}
        for device in wanted:
            for other in self.host.members(device.group) if device.group is not None else ():
                if other.slot == device.slot and not other.is_bridge:
                    found.setdefault(other.address, other)
        return [found[address] for address in sorted(found)]

    # What can stand in the way

    def _check_host(self) -> None:
        if not self.host.has_iommu:
            raise Unavailable(
                "the IOMMU is off, so no device can be handed over",
                mend=f"switch it on in the firmware and boot with {self._iommu_option()} iommu=pt",
            )
        if not (self.host.pci / "drivers" / VFIO).is_dir():
            raise Unavailable(f"the module {VFIO} is not loaded", mend=f"sudo modprobe {VFIO}")
        if not (self.host.dev / "vfio/vfio").exists():
            raise Unavailable(f"{self.host.dev}/vfio/vfio is missing", mend="sudo modprobe vfio")
        self._check_memory()

    def _iommu_option(self) -> str:
        text = (self.host.proc / "cpuinfo").read_text()
        known = {"GenuineIntel": "intel_iommu=on", "AuthenticAMD": "amd_iommu=on"}
        return next((option for maker, option in known.items() if maker in text), " or ".join(known.values()))

    def _check_memory(self) -> None:
        most = self.host.locked_memory()
        needed = self.memory_bytes + _PINNED_BESIDES
        if most is not None and most < needed:
            raise Unavailable(
                f"{needed >> 20} MiB of memory have to be locked, {most >> 20} MiB may be",
                mend="ulimit -l unlimited (LimitMEMLOCK=infinity in a systemd unit)",
            )
        if not (size := self.huge_page_bytes):
            return
        pages, free = -(-self.memory_bytes // size), self.host.free_huge_pages(size)
        if free < pages:
            raise Unavailable(
                f"{pages} huge pages of {size >> 20} MiB are needed, {free} are free",
                mend=f"boot with hugepagesz={size >> 20}M hugepages={pages}, or echo {pages} | sudo tee "
                f"/sys/kernel/mm/hugepages/hugepages-{size >> 10}kB/nr_hugepages",
            )

    def _check_device(self, device: PciDevice, devices: Sequence[PciDevice]) -> None:
        if device.group is None:
            raise Unavailable(f"{device} is not behind the IOMMU", mend="put the card into another slot")
        groups = {other.group for other in devices if other.is_gpu}
        if device.group not in groups or device.is_bridge:
            raise Unavailable(f"{device} is not a GPU", mend="`lspci -D | grep -Ei 'vga|3d|display'`")
        self._check_group(device, device.group, devices)
        if users := self.host.users(device):
            names = ", ".join(map(str, users))
            raise Unavailable(f"{device} is used by {names}", mend="end that first")
        self._check_node(device.group, bound=False)

    def _check_group(self, device: PciDevice, group: int, devices: Sequence[PciDevice]) -> None:
        name = self.host.sys / f"kernel/iommu_groups/{group}/name"
        if name.exists() and name.read_text().strip() == "vfio-noiommu":
            raise Unavailable(
                f"{device} has no IOMMU behind it", mend="boot without enable_unsafe_noiommu_mode"
            )
        given = {other.address for other in devices}
        for other in self.host.members(group):
            if other.address in given or other.is_bridge or other.driver in _HARMLESS_DRIVERS:
                continue
            raise Unavailable(
                f"{device} shares IOMMU group {group} with {other}, which {other.driver} drives",
                mend=f"name both, or echo {other.address} | sudo tee {other.path}/driver/unbind, "
                "or put the card into another slot",
            )

    def _check_node(self, group: int, *, bound: bool = True) -> None:
        """Open the group's file once, as QEMU will: only the kernel knows who may."""
        node = group_node(self.host, group)
        if bound and not until(node.exists, patience_s=_NODE_S):
            raise Unavailable(f"{node} did not appear", mend="`sudo dmesg | grep -i vfio` says why")
        if not node.exists():
            return
        try:
            os.close(os.open(node, os.O_RDWR | os.O_CLOEXEC))
        except PermissionError as error:
            rule = f'SUBSYSTEM=="vfio", KERNEL=="{group}", GROUP="kvm", MODE="0660"'
            raise Unavailable(
                f"this user may not open {node}",
                mend=f"put {rule} into /etc/udev/rules.d/70-vfio.rules, sudo udevadm trigger, join group kvm",
            ) from error
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise Unavailable(f"{node} does not open: {error.strerror}") from error
            users = ", ".join(map(str, self.host.holders({str(node)}))) or "another machine"
            raise Unavailable(f"{node} is used by {users}", mend="end it, or choose another GPU") from error

    def _check_firmware(self, devices: Sequence[PciDevice]) -> None:
        if needs_firmware(devices):
            find_firmware(self.root)


def _give_back(holds: list[Hold]) -> None:
    """Give back everything that can be, then complain about what could not."""
    faults: list[str] = []
    while holds:
        try:
            holds.pop().give_back()
        except (EnvironmentFault, OSError) as fault:
            faults.append(str(fault))
    if faults:
        raise Broken("; ".join(faults), by_agent=False)
