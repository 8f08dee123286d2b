"""Looks at what holds the agent on a host, as root."""

from __future__ import annotations

import os
import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

__all__ = ["PROBES"]

MADE_UP = re.compile(
    "qemu|kvm|bochs|vmware|virtualbox|innotek|xen|bhyve|amazon ec2|google|parallels|openstack|hetzner"
    "|firecracker|cloud hypervisor|microsoft corporation virtual",
    re.IGNORECASE,
)
WORLDS = ("pid", "mnt", "net", "ipc", "uts")
FIRST = {"pid": 0xEFFFFFFC, "uts": 0xEFFFFFFE, "ipc": 0xEFFFFFFF}
"""Numbers the kernel gives the namespaces it starts with."""


def text(path: str) -> str:
    try:
        with open(path, errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def ways_out() -> list[str]:
    """Routes that lead to most of the world, in any table."""
    fourth = re.findall(r"/(\d+) universe (?:UNICAST|MULTIPATH)", text("/proc/net/fib_trie"))
    found = [f"IPv4 /{prefix}" for prefix in fourth if int(prefix) < 8]
    for line in text("/proc/net/ipv6_route").splitlines():
        columns = line.split()
        unusable = int(columns[8], 16) & 0x0200  # RTF_REJECT
        if int(columns[1], 16) < 8 and columns[9] != "lo" and not unusable:
            found.append(f"IPv6 /{int(columns[1], 16)}")
    return sorted(set(found))


def limits_of(pid: int) -> Mapping[str, int | None]:
    found: dict[str, int | None] = {}
    for line in text(f"/proc/{pid}/limits").splitlines()[1:]:
        name, soft = re.split(r"\s{2,}", line)[:2]
        found[name] = None if soft == "unlimited" else int(soft)
    return found


def group_limits(pid: int) -> Mapping[str, int]:
    """The tightest limits of the control groups a process is in."""
    found: dict[str, int] = {}
    files = {"memory": ("memory.max", "memory.limit_in_bytes"), "processes": ("pids.max",)}
    for line in text(f"/proc/{pid}/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        top = "/sys/fs/cgroup" + (f"/{controllers}" if controllers else "")
        while True:
            for resource, names in files.items():
                for name in names:
                    value = text(f"{top}{path}/{name}").strip()
                    if value.isdigit():
                        found[resource] = min(found.get(resource, 1 << 62), int(value))
            if path in ("", "/"):
                break
            path = path.rpartition("/")[0]
    return found


def virtual() -> str:
    """What makes this a virtual machine, if it is one."""
    maker = " ".join(text(f"/sys/class/dmi/id/{name}").strip() for name in ("sys_vendor", "product_name"))
    if MADE_UP.search(maker):
        return maker
    if re.search(r"^flags\s*:.*\bhypervisor\b", text("/proc/cpuinfo"), re.MULTILINE):
        return "a hypervisor"
    return "a hypervisor" if os.path.exists("/sys/hypervisor/type") else ""


def as_root(pid: int, places: list[str], **_: Any) -> Mapping[str, Any]:
    """What holds the agent, whose attendant is process `pid`."""
    worlds = {name: os.stat(f"/proc/1/ns/{name}").st_ino for name in WORLDS}
    disks: dict[int, int] = {}
    for place in places:
        if os.path.isdir(place):
            seen = os.statvfs(place)
            disks[os.stat(place).st_dev] = seen.f_bavail * seen.f_frsize
    return {
        "boot_id": text("/proc/sys/kernel/random/boot_id").strip(),
        "worlds": worlds,
        "own": [name for name, number in FIRST.items() if worlds[name] != number],
        "container": "container=" in text("/proc/1/environ"),
        "virtual": virtual(),
        "limits": limits_of(pid),
        "groups": group_limits(pid),
        "free": sum(disks.values()),
        "ways_out": ways_out(),
    }


PROBES: Mapping[str, Callable[..., Any]] = {"as_root": as_root}
