"""What the host's kernel says about a machine's processes, and what of the host can be seen from a machine.

Everything here is read from outside; nothing inside is asked, so nothing inside can lie.
"""

from __future__ import annotations

import ipaddress
import os
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from environments.types import Probe
from environments.warden.registry import directory

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from environments.sandbox.rooted import RootedFiles

__all__ = [
    "NAMESPACES",
    "OF_THE_KERNEL",
    "SOCKETS",
    "Mount",
    "control_sockets",
    "foreign",
    "held",
    "interfaces",
    "listed",
    "metadata_routes",
    "mounts",
    "new_privileges",
    "private",
    "rlimit",
    "root_of",
    "routes",
    "status_of",
    "still_there",
    "up",
    "visible_sockets",
]

NAMESPACES = ("user", "pid", "mnt", "net", "ipc", "uts", "cgroup")
SOCKETS = (
    *(
        "/run/docker.sock",
        "/var/run/docker.sock",
        "/run/podman/podman.sock",
        "/run/containerd/containerd.sock",
    ),
    *("/run/crio/crio.sock", "/run/buildkit/buildkitd.sock", "/run/libvirt/libvirt-sock"),
    *("/run/systemd/private", "/run/systemd/notify", "/run/dbus/system_bus_socket", "/run/nscd/socket"),
    *("/run/systemd/resolve/io.systemd.Resolve", "/run/snapd.socket", "/run/udev/control"),
)
"""Where programs that can start things on a host, or talk for it, listen."""
_METADATA = tuple(map(ipaddress.ip_address, ("169.254.169.254", "fd00:ec2::254")))
_REJECTED = 0x0200
OF_THE_KERNEL = frozenset({"cgroup", "cgroup2", "devpts", "mqueue", "proc", "sysfs"})
"""Kinds of file systems that hold nothing but what the kernel says."""
_HARMLESS_DEVICES = {"/console", "/full", "/null", "/random", "/tty", "/urandom", "/zero"}


class Mount(NamedTuple):
    """One line of a process's mount table."""

    device: str
    source: str
    """What of its file system is mounted."""
    point: PurePosixPath
    writable: bool
    kind: str


def private(init: int, name: str) -> Probe:
    """Probe whether a process has a namespace that is not ours."""
    own, its = (Path(f"/proc/{who}/ns/{name}").stat().st_ino for who in ("self", init))
    return Probe(
        name=f"{name} namespace", declared="private", found="the host's" if own == its else "private"
    )


def root_of(root: int) -> str:
    """Say whose root directory a descriptor is."""
    its, own = os.fstat(root), Path("/").stat()
    same = (its.st_dev, its.st_ino) == (own.st_dev, own.st_ino)
    return "the host's" if same else "the machine's own"


def listed(found: Collection[object]) -> str:
    """Put what was found into words: the things by name, or that there is none."""
    return ", ".join(map(str, found)) or "none"


def interfaces(pid: int) -> list[str]:
    """Return the network interfaces that a process has."""
    lines = Path(f"/proc/{pid}/net/dev").read_text().splitlines()[2:]
    return sorted(line.partition(":")[0].strip() for line in lines)


def routes(pid: int) -> list[str]:
    """Return where a process's routes lead, as networks; those of the loopback interface left out."""
    found = set()
    for line in Path(f"/proc/{pid}/net/route").read_text().splitlines()[1:]:
        columns = line.split()
        address = int(columns[1], 16).to_bytes(4, sys.byteorder)
        found.add(f"{ipaddress.IPv4Address(address)}/{int(columns[7], 16).bit_count()}")
    sixth = Path(f"/proc/{pid}/net/ipv6_route")
    for line in sixth.read_text().splitlines() if sixth.exists() else ():
        columns = line.split()
        if columns[9] != "lo" and not int(columns[8], 16) & _REJECTED:
            address = bytes.fromhex(columns[0])
            found.add(f"{ipaddress.IPv6Address(address)}/{int(columns[1], 16)}")
    return sorted(found)


def metadata_routes(networks: Collection[str]) -> list[str]:
    """Return the addresses at which clouds tell their machines secrets, as far as networks cover them."""
    known = [ipaddress.ip_network(each, strict=False) for each in networks]
    return [str(address) for address in _METADATA if any(address in each for each in known)]


def status_of(pid: int) -> dict[str, str]:
    """Return the fields of a process's status."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def still_there(pid: int) -> None:
    """See that a process has not died while it was looked at: what is found of a dead one means nothing.

    Raises:
        OSError: it has.
    """
    Path(f"/proc/{pid}/ns/net").stat()


def held(status: Mapping[str, str], sets: Collection[str]) -> str:
    """Name the sets of capabilities that are not empty."""
    return listed([name for name in sets if int(status[name], 16)])


def new_privileges(status: Mapping[str, str]) -> str:
    """Say whether a process can become more than it is by starting a program."""
    return "refused" if status["NoNewPrivs"] == "1" else "possible"


def rlimit(pid: int, name: str, most: int) -> bool:
    """Whether a limit is set, and no higher than `most`."""
    for line in Path(f"/proc/{pid}/limits").read_text().splitlines():
        if line.startswith(name):
            value = line[len(name) :].split()[0]
            return value != "unlimited" and int(value) <= most
    return False


def up(up: bool) -> str:  # noqa: FBT001  reads as a word where it is called
    """Name the state of a fence."""
    return "up" if up else "down"


def mounts(pid: int | str) -> Iterator[Mount]:
    """Return a process's mount table."""
    for line in Path(f"/proc/{pid}/mountinfo").read_text().splitlines():
        place, _, system = line.partition(" - ")
        _, _, device, source, point, options, *_ = place.split()
        kind, _, of_system = system.split(" ", 2)
        writable = "rw" in options.split(",") and "rw" in of_system.split(",")
        yield Mount(device, source, PurePosixPath(point.encode().decode("unicode_escape")), writable, kind)


def foreign(table: Collection[Mount], *, own: Collection[tuple[str, str]] = ()) -> list[str]:
    """Return the mounts that show something of the host that was there before the machine.

    Args:
        table: the machine's mounts.
        own: point and kind of mounts that are part of the machine, "*" for any kind.
    """
    ours = {mount.device for mount in mounts("self")}
    return sorted(
        str(mount.point)
        for mount in table
        if not ((str(mount.point), mount.kind) in own or (str(mount.point), "*") in own)
        and mount.kind not in OF_THE_KERNEL
        and not (mount.kind == "devtmpfs" and mount.source in _HARMLESS_DEVICES)
        and (mount.kind != "tmpfs" or mount.device in ours)
    )


@cache
def control_sockets() -> dict[str, tuple[int, int]]:
    """Return the control sockets of this host: path -> device and inode."""
    users = [
        str(path)
        for pattern in ("*/bus", "*/podman/podman.sock", "*/systemd/private")
        for path in _under(pattern)
    ]
    found = {}
    for path in (*SOCKETS, *users):
        with suppress(OSError):
            seen = Path(path).stat()
            found[path] = seen.st_dev, seen.st_ino
    return found


def _under(pattern: str) -> list[Path]:
    try:
        return list(Path("/run/user").glob(pattern))
    except OSError:
        return []


def visible_sockets(files: RootedFiles) -> list[str]:
    """Return the host's control sockets and redline's own folder, as far as a machine's tree shows them.

    What the agent made there under such a name is none.
    """
    found = []
    own = directory()
    seen = own.stat()
    for path, known in {**control_sockets(), str(own): (seen.st_dev, seen.st_ino)}.items():
        with suppress(OSError):
            fd = files.open(PurePosixPath(path), os.O_PATH)
            try:
                seen = os.fstat(fd)
            finally:
                os.close(fd)
            if (seen.st_dev, seen.st_ino) == known:
                found.append(path)
    return found
