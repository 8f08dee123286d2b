"""The certificate of a virtual machine: what is declared about its closure, held against what is found.

Three witnesses: the emulator says what the machine consists of, the host's kernel what holds the emulator,
and the machine itself what its user finds when it knocks at the runner's loopback, which the emulator's
network would lead to if it led anywhere.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from environments.attendant.witness import ThroughAttendant
from environments.containment.examination import Examination
from environments.containment.inside import Declared
from environments.containment.kernel import status_of
from environments.types import Certificate, Probe

if TYPE_CHECKING:
    from environments.attendant import Attendant, AttendedControl
    from environments.sandbox.fences import Fence
    from environments.types import Limits
    from environments.vm.machine import Machine

__all__ = ["MachineOutside", "certify"]

_PROBING_S = 30.0
_LOOPBACK = "127.0.0.1"
_GATEWAY = "10.0.2.2"
_SHARING = {"9p", "virtiofs", "fuse", "nfs", "nfs4", "cifs", "vboxsf"}
_INTEL, _VIRTIO, _PVPANIC = 0x8086, 0x1AF4, (0x1B36, 0x0011)
_WORDS = {0x1000: "network", 0x1001: "disk", 0x1003: "serial ports", 0x1005: "random"}
_OURS = ("disk", "network", "random", "serial ports")
# A machine's disks, routes and devices are its own; which of them its user may open is what the image says.
_INSIDE = Declared(
    user="1000 1000",
    interfaces="eth0, lo",
    routes="10.0.2.0/24",
    new_privileges=None,
    mounts=None,
    nests=None,
    sockets=None,
    ports=("/dev/vport", "/dev/virtio-ports"),
)
_DECLARED = (
    ("may reach", "its own loopback and the emulator's end of its network card, which passes nothing on"),
    ("other machines", "none: each emulator has a network of its own"),
    ("sees of the host", "what the emulated hardware tells: processor model, memory, time"),
    (
        "shares with the host",
        "no kernel; the emulator stands between, in a network namespace and under a filter",
    ),
    ("who may see it", "the host's root and the user that runs redline: disk, memory, console"),
)


@dataclass(frozen=True, kw_only=True)
class MachineOutside:
    """What the emulator, the host's kernel and root's attendant say of a machine.

    Args:
        machine: what is examined.
        control: root's handle.
        fence: control groups of the emulator.
    """

    machine: Machine
    control: AttendedControl
    fence: Fence

    async def __call__(self) -> tuple[Probe, ...]:
        """Look once.

        Raises:
            OSError, Broken: the machine is gone.
        """
        emulator, mounts = await asyncio.gather(_emulators_word(self.machine), _mounts(self.control))
        return (*emulator, *_kernels_word(self.machine, self.fence), mounts)


async def certify(
    outside: MachineOutside, *, name: str, agent: Attendant, limits: Limits
) -> tuple[Certificate, Examination]:
    """Examine a machine that is open and empty; return its certificate, and what examines it again.

    Args:
        outside: what is found without the agent.
        name: of the provider.
        agent: the agent's attendant, which has run nothing yet.
        limits: what was asked for.
    """
    hardware, enforced = outside.machine.hardware, outside.fence.enforced()
    fences = {
        "memory": "size of the machine's memory",
        "processes": "rlimit",
        "cpu": f"{hardware.cpus} processor{'s' * (hardware.cpus != 1)} of the machine's own",
        "disk": "size of the machine's disk",
        "open files": "rlimit",
        "output": "a cap on what is kept",
        "wall time": f"the warden, {limits.lifetime_s:g} s",
        "emulator's memory": enforced.get("memory", "not enforced"),
        "emulator's threads": enforced.get("pids", "not enforced"),
        "emulator's cpu": enforced.get("cpu", "not enforced"),
        "accelerator": hardware.accel,
    }
    closure = Examination(
        outside=outside,
        inside=ThroughAttendant(agent, limit_s=_PROBING_S),
        declared=_INSIDE,
        addresses=lambda: [_LOOPBACK],
        seen_as=_GATEWAY,
    )
    certificate = Certificate(
        provider=name,
        grade=outside.control.grade,
        probes=await closure.examine("before"),
        fences=tuple(fences.items()),
        declared=_DECLARED,
    )
    return certificate, closure


async def _emulators_word(machine: Machine) -> tuple[Probe, ...]:
    monitor = machine.emulator.monitor
    text = str(await monitor.execute("human-monitor-command", command_line="info network"))
    back_ends = [line for line in text.splitlines() if "type=" in line and "type=nic" not in line]
    kinds = [line.partition("type=")[2].split(",")[0].strip() for line in back_ends]
    shut = ", restricted" if all("restrict=on" in line for line in back_ends) else ""
    devices = await _devices(machine)
    given = [device for device in devices if device not in _OURS]
    declared = machine.hardware.hands
    own = sorted(device for device in devices if device in _OURS)
    return (
        Probe(
            name="networks",
            declared="user, restricted",
            found=f"{', '.join(kinds)}{shut}" if kinds else "none",
        ),
        Probe(
            name="devices",
            declared=", ".join(_OURS),
            found=", ".join(own),
        ),
        Probe(
            name="devices handed through",
            declared=f"{declared}" if declared else "none",
            found=("none" if not given else f"{len(given)}" if declared else ", ".join(given)),
        ),
    )


async def _devices(machine: Machine) -> list[str]:
    """Name every PCI device of the machine but those of the chipset itself."""
    buses = await machine.emulator.monitor.execute("query-pci")
    left: list[dict[str, Any]] = [device for bus in buses for device in bus["devices"]]
    found = []
    while left:
        device = left.pop()
        left += device.get("pci_bridge", {}).get("devices", [])
        vendor, number = device["id"]["vendor"], device["id"]["device"]
        bridge = device["class_info"]["class"] >> 8 == 0x06
        if vendor == _VIRTIO and number in _WORDS:
            found.append(_WORDS[number])
        elif vendor != _INTEL and (vendor, number) != _PVPANIC and not bridge:
            found.append(f"{vendor:04x}:{number:04x}")
    return found


def _kernels_word(machine: Machine, fence: Fence) -> tuple[Probe, ...]:
    """What holds the emulator, from outside."""
    pid = machine.emulator.pid
    status = status_of(pid)
    uid = int(status["Uid"].split()[1])
    user = "root" if uid == 0 else "the runner's, who is not root" if uid == os.geteuid() else "owns nothing"
    alone = Path(f"/proc/{pid}/ns/net").stat().st_ino != Path("/proc/self/ns/net").stat().st_ino
    held = all(int(status[name], 16) == 0 for name in ("CapPrm", "CapEff", "CapBnd"))
    return (
        Probe(
            name="emulator's user",
            declared="owns nothing" if os.geteuid() == 0 else "the runner's, who is not root",
            found=user,
        ),
        Probe(name="emulator's capabilities", declared="none", found="none" if held else "some"),
        Probe(name="emulator's system calls", declared="filtered", found=_filtered(status)),
        Probe(name="emulator's network", declared="its own", found="its own" if alone else "the host's"),
        Probe(name="emulator inside its fences", declared="yes", found="yes" if fence.holds(pid) else "no"),
    )


def _filtered(status: dict[str, str]) -> str:
    return "filtered" if status["Seccomp"] == "2" and status["NoNewPrivs"] == "1" else "not filtered"


async def _mounts(control: AttendedControl) -> Probe:
    result = await control.tell(["cat", "/proc/mounts"])
    kinds = {line.split()[2] for line in result.stdout.decode(errors="replace").splitlines()}
    shared = sorted(kind for kind in kinds if kind in _SHARING or kind.startswith("fuse"))
    found = ", ".join(shared) or ("none" if result.ok and kinds else "no answer")
    return Probe(name="file systems shared with the host", declared="none", found=found)
