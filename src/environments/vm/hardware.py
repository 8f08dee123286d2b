"""What a machine is made of, as QEMU's command line."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from environments.errors import Unavailable
from environments.processes import output_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from environments.vm.fittings import Fittings

__all__ = ["EMULATOR", "Accelerator", "Files", "Hardware", "emulator_version", "require_programs"]

Accelerator = Literal["kvm", "tcg"]
EMULATOR = "qemu-system-x86_64"
_PACKAGES = {
    EMULATOR: "qemu-system-x86",
    "qemu-img": "qemu-utils",
    "setpriv": "util-linux",
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "ip": "iproute2",
}
_SANDBOX = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"
_OVERHEAD_BYTES = 768 << 20
"""Of the emulator itself: translated code, disk cache, device models."""


@dataclass(frozen=True, kw_only=True)
class Hardware:
    """What does not change while a machine lives."""

    accel: Accelerator
    memory_bytes: int
    cpus: int
    disk_bytes: int
    """Of the disk, left to who is not root."""
    address: str = "10.0.2.15/24"
    """Of the machine in its network, with the length of the prefix."""
    mac: str = "52:54:00:00:00:01"
    fittings: Fittings | None = None
    """What is handed through to it."""

    @property
    def most_bytes(self) -> int:
        """Memory that the emulator may come to use."""
        return self.memory_bytes + _OVERHEAD_BYTES

    @property
    def hands(self) -> int:
        """How many functions of devices are handed through."""
        return sum(len(card) for card in self.fittings.cards) if self.fittings else 0

    def arguments(self, *, variables: Path | None = None) -> list[str]:
        """Return the machine without its disks, its wires and its kernel.

        Args:
            variables: the machine's own copy of its firmware's variables, where it has a firmware.
        """
        mebibytes = math.ceil(self.memory_bytes / (1 << 20))
        accel = "kvm" if self.accel == "kvm" else "tcg,thread=multi,tb-size=256"
        return [
            *("-name", "machine", "-M", self.fittings.machine if self.fittings else "q35", "-accel", accel),
            *(
                "-cpu",
                "host" if self.accel == "kvm" else "max",
                "-smp",
                str(self.cpus),
                "-m",
                f"{mebibytes}M",
            ),
            *("-nodefaults", "-no-user-config", "-display", "none", "-sandbox", _SANDBOX),
            *("-action", "reboot=reset,shutdown=poweroff,panic=shutdown", "-rtc", "base=utc,clock=host"),
            *("-device", "virtio-serial-pci,id=ports", "-device", "virtio-rng-pci", "-device", "pvpanic-pci"),
            *("-device", f"virtio-net-pci,netdev=net,mac={self.mac},romfile="),
            *(self.fittings.arguments(variables=variables) if self.fittings else ()),
        ]

    def device_files(self) -> tuple[Path, ...]:
        """Return the device files that the emulator opens itself."""
        kvm = (Path("/dev/kvm"),) if self.accel == "kvm" else ()
        return (*kvm, *self.handed_files())

    def handed_files(self) -> tuple[Path, ...]:
        """Return the device files of what is handed through. Whoever may open them has the devices."""
        return tuple(_vfio_nodes(self.fittings)) if self.fittings else ()

    def kernel_line(self) -> str:
        """Return what the kernel is told."""
        init = f"init=/usr/lib/redline/init redline.address={self.address} redline.disk={self.disk_bytes}"
        # The inode tables were made empty: writing zeros to them would only fill the disk's file.
        root = "root=/dev/vda rw rootflags=noinit_itable"
        return f"{root} console=ttyS0 quiet net.ifnames=0 {init}"


@dataclass(frozen=True, kw_only=True)
class Files:
    """Open files of one emulator, by descriptor; none of them is opened by the emulator by its name."""

    kernel: int
    initrd: int
    layers: Sequence[int]
    """Disks that are only read, the lowest first."""
    top: str
    """Path of the disk that is written."""
    control: int
    """A listening socket."""
    netdev: str
    """Back end of the network device."""
    variables: Path | None = None
    """The machine's own copy of its firmware's variables."""
    incoming: int | None = None
    """Saved memory to start from, in place of booting."""

    def kept(self) -> tuple[int, ...]:
        """Return every descriptor that is passed on."""
        incoming = () if self.incoming is None else (self.incoming,)
        return (self.kernel, self.initrd, *self.layers, self.control, *incoming)

    def arguments(self, hardware: Hardware, *, monitor: int) -> list[str]:
        """Return the whole command.

        Args:
            hardware: what is emulated.
            monitor: descriptor of a connected socket.
        """
        sets: list[str] = []
        disks: list[str] = []
        for number, fd in enumerate(self.layers):
            sets += ["-add-fd", f"fd={fd},set={number}"]
            disks += ["-blockdev", _disk(number, f"/dev/fdset/{number}", read_only=True)]
        top = len(self.layers)
        disks += ["-blockdev", _disk(top, self.top, read_only=False)]
        return [
            EMULATOR,
            *("-netdev", self.netdev),
            *hardware.arguments(variables=self.variables),
            *("-kernel", f"/proc/self/fd/{self.kernel}", "-initrd", f"/proc/self/fd/{self.initrd}"),
            *("-append", hardware.kernel_line()),
            *sets,
            *disks,
            *("-device", f"virtio-blk-pci,drive=disk{top},id=root"),
            *("-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console"),
            *("-chardev", f"socket,id=monitor,fd={monitor}", "-mon", "chardev=monitor,mode=control"),
            *("-chardev", f"socket,id=control,fd={self.control},server=on,wait=off"),
            *("-device", "virtserialport,bus=ports.0,nr=1,chardev=control,name=org.redline.control"),
            *(("-incoming", "defer") if self.incoming is not None else ()),
        ]


def _vfio_nodes(fittings: Fittings) -> Iterator[Path]:
    """Yield the files of the groups that devices of the host belong to."""
    for card in fittings.cards:
        for function in card:
            group = Path("/sys/bus/pci/devices", function.host, "iommu_group")
            if function.host and group.exists():
                yield Path("/dev/vfio", group.resolve().name)


def _disk(number: int, name: str, *, read_only: bool) -> str:
    file = {"driver": "file", "filename": name, "read-only": read_only}
    if read_only:
        file["locking"] = "off"  # nobody writes it any more
    node: dict[str, object] = {"driver": "qcow2", "node-name": f"disk{number}", "read-only": read_only}
    node |= {"file": file, "backing": f"disk{number - 1}" if number else None}
    if not read_only:
        node["discard"] = "unmap"
    return json.dumps(node)


def require_programs() -> None:
    """Make sure that what machines are made with is installed.

    Raises:
        Unavailable: something is not.
    """
    for program, package in _PACKAGES.items():
        if shutil.which(program) is None:
            raise Unavailable(f"{program} is not installed", mend=f"sudo apt-get install {package}")


async def emulator_version() -> str:
    """Return QEMU's version.

    Raises:
        Unavailable: it is not installed, or does not run.
    """
    require_programs()
    status, said = await output_of([EMULATOR, "--version"])
    if status != 0:
        mend = f"sudo apt-get install --reinstall {_PACKAGES[EMULATOR]}"
        raise Unavailable(f"{EMULATOR} does not run: {said.strip()[-200:]}", mend=mend)
    return said.splitlines()[0].partition(" version ")[2]
