"""The certificate of a virtual machine: what is declared about its closure, held against what is found.

Three witnesses: the emulator says what the machine consists of, the host's kernel what holds the emulator,
and the machine itself what its user finds when it tries the ways out, before the agent comes.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from environments.ssh.canaries import canaries_on
from environments.types import Certificate, Probe
from environments.vm.variants import guest_file

if TYPE_CHECKING:
    from environments.attendant import Attendant, AttendedControl
    from environments.sandbox.fences import Fence
    from environments.vm.machine import Machine

__all__ = ["certify"]

_PROBING_S = 30.0
_LOOPBACK = "127.0.0.1"
_GATEWAY = "10.0.2.2"
_SHARING = {"9p", "virtiofs", "fuse", "nfs", "nfs4", "cifs", "vboxsf"}
_INTEL, _VIRTIO, _PVPANIC = 0x8086, 0x1AF4, (0x1B36, 0x0011)
_WORDS = {0x1000: "network", 0x1001: "disk", 0x1003: "serial ports", 0x1005: "random"}
_OURS = ("disk", "network", "random", "serial ports")


async def certify(
    *, name: str, machine: Machine, agent: Attendant, control: AttendedControl, fence: Fence
) -> Certificate:
    """Examine a machine that is open and empty.

    Args:
        name: of the provider.
        machine: what is examined.
        agent: the agent's attendant, which has run nothing yet.
        control: root's handle.
        fence: control groups of the emulator.
    """
    emulator, guest, mounts = await asyncio.gather(
        _emulators_word(machine), _agents_word(agent), _mounts(control)
    )
    enforced = fence.enforced()
    fences = {
        "memory": "size of the machine's memory",
        "processes": "rlimit",
        "disk": "size of the machine's disk",
        "open files": "rlimit",
        "output": "a cap on what is kept",
        "emulator's memory": enforced.get("memory", "not enforced"),
        "emulator's threads": enforced.get("pids", "not enforced"),
        "accelerator": machine.hardware.accel,
    }
    probes = (*emulator, *_kernels_word(machine, fence), *guest, mounts)
    return Certificate(provider=name, grade=control.grade, probes=probes, fences=tuple(fences.items()))


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
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    status = {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}
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


async def _agents_word(agent: Attendant) -> tuple[Probe, ...]:
    """Try the ways out as the agent's user. What does not answer in time was not reached."""
    async with canaries_on([_LOOPBACK]) as canaries:
        ports = {kind: str(port) for kind, _, port in canaries.sockets}
        argv = ["bash", "-c", guest_file("probe.bash"), "probe", _GATEWAY]
        argv += [ports.get("TCP", "9"), ports.get("UDP", "9"), canaries.word]
        answer = await agent.ask(
            "exec", takes_s=_PROBING_S, argv=argv, cwd="/", timeout_s=_PROBING_S, most=1 << 16
        )
        said = answer.payload[: answer.fields["stdout"]].decode(errors="replace").splitlines()
        heard = sorted(canaries.heard)
    routes = [line.partition(" ")[2] for line in said if line.startswith("route ")]
    reached = [line.partition(" ")[2] for line in said if line.startswith("reached ")]
    held = [line for line in said if line.startswith("Cap") and int(line.split()[1], 16)]
    whole = "tried" if "end" in said else "not all tried"
    return (
        Probe(
            name="agent's user",
            declared="1000, in no other group",
            found="1000, in no other group" if "user 1000 1000" in said else _first(said),
        ),
        Probe(name="agent's capabilities", declared="none", found=", ".join(held) or "none"),
        Probe(name="judge's port", declared="closed to the agent", found=_port(said)),
        Probe(name="routes out", declared="none", found=", ".join(routes) or "none"),
        Probe(name="ways out", declared="tried", found=whole),
        Probe(name="reached outside", declared="nothing", found=", ".join(reached) or "nothing"),
        Probe(name="runner's loopback heard", declared="nothing", found=", ".join(heard) or "nothing"),
    )


def _first(said: list[str]) -> str:
    return said[0] if said else "no answer"


def _port(said: list[str]) -> str:
    return "open to the agent" if "control open" in said else "closed to the agent"


async def _mounts(control: AttendedControl) -> Probe:
    result = await control.tell(["cat", "/proc/mounts"])
    kinds = {line.split()[2] for line in result.stdout.decode(errors="replace").splitlines()}
    shared = sorted(kind for kind in kinds if kind in _SHARING or kind.startswith("fuse"))
    found = ", ".join(shared) or ("none" if result.ok and kinds else "no answer")
    return Probe(name="file systems shared with the host", declared="none", found=found)
