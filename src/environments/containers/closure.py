"""The certificate of a container: read from the kernel, not asked of the engine that made it."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from environments.containers.engines import OWN_PROCESSES
from environments.sandbox.closure import certify as certify_machine
from environments.sandbox.fences import Fence, Hierarchy
from environments.types import Probe

if TYPE_CHECKING:
    from collections.abc import Iterator

    from environments.sandbox.rooted import RootedFiles
    from environments.types import Certificate, Limits

__all__ = ["certify", "fence_around"]

_GROUPS = Path("/sys/fs/cgroup")
_OF_THE_KERNEL = {"cgroup", "cgroup2", "devpts", "mqueue", "proc", "sysfs"}
_HARMLESS_DEVICES = {"/console", "/full", "/null", "/random", "/tty", "/urandom", "/zero"}
_ENGINES_OWN = {
    # what every engine puts over an image: the root itself, files about names, shared memory
    *("/", "/dev/shm", "/etc/group", "/etc/hostname", "/etc/hosts", "/etc/passwd", "/etc/resolv.conf"),  # noqa: S108
    *("/run/.containerenv", "/run/secrets", "/var/run/.containerenv"),
}
_FILTERED = "2"
_OF_A_PROCESS = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp", "Uid", "Gid")


class _Mount(NamedTuple):
    device: str
    source: str
    """What of its file system is mounted."""
    point: PurePosixPath
    writable: bool
    kind: str


def certify(
    *,
    init: int,
    attendant: int,
    root: int,
    files: RootedFiles,
    owner: tuple[int, int],
    fence: Fence,
    limits: Limits,
    nests: bool,
) -> Certificate:
    """Examine a container that is open and empty.

    Args:
        init: process 1 of the machine, as the host numbers it.
        attendant: the process that will run the agent's commands, as the host numbers it.
        root: descriptor of the machine's root directory.
        files: the machine's files.
        owner: host uid and gid of the machine's user.
        fence: the machine's control groups.
        limits: what was asked for.
        nests: whether further user namespaces can be made inside.
    """
    mounts = list(_mounts(init))
    bare = next(mount for mount in mounts if mount.point == PurePosixPath("/"))
    foreign = sorted(str(mount.point) for mount in mounts if _is_foreign(mount))
    written = _writable_bytes(mounts, files, owner)
    more = (
        Probe(
            name="system calls", declared="filtered", found=_yes(_seccomp(init), "filtered", "not filtered")
        ),
        Probe(name="image", declared="read-only", found=_yes(not bare.writable, "read-only", "writable")),
        Probe(
            name="further namespaces", declared="refused", found=_yes(not nests, "refused", "not shown to be")
        ),
        Probe(name="directories of the host", declared="none", found=", ".join(foreign) or "none"),
        Probe(name="disk fence", declared="up", found=_yes(0 < written <= limits.disk_bytes, "up", "down")),
        Probe(
            name="agent's processes",
            declared="as process 1",
            found=_yes(_traits(attendant) == _traits(init), "as process 1", "different"),
        ),
    )
    found = certify_machine(init=init, root=root, fence=fence, limits=limits, provider="container", more=more)
    fences = {**dict(found.fences), "output": "a cap on what is kept"}
    return replace(found, fences=tuple(fences.items()))


def _yes(holds: bool, then: str, otherwise: str) -> str:  # noqa: FBT001  reads as a condition
    return then if holds else otherwise


def _status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def _seccomp(pid: int) -> bool:
    return _status(pid).get("Seccomp") == _FILTERED


def _traits(pid: int) -> tuple[object, ...]:
    """What decides how far a process gets: two that share it are fenced alike."""
    status = _status(pid)
    namespaces = [(link.name, str(link.readlink())) for link in sorted(Path(f"/proc/{pid}/ns").iterdir())]
    groups = Path(f"/proc/{pid}/cgroup").read_text()
    return ([status.get(name) for name in _OF_A_PROCESS], namespaces, groups)


def _mounts(pid: int | str) -> Iterator[_Mount]:
    for line in Path(f"/proc/{pid}/mountinfo").read_text().splitlines():
        place, _, system = line.partition(" - ")
        _, _, device, source, point, options, *_ = place.split()
        kind, _, of_system = system.split(" ", 2)
        writable = "rw" in options.split(",") and "rw" in of_system.split(",")
        yield _Mount(device, source, PurePosixPath(point.encode().decode("unicode_escape")), writable, kind)


def _is_foreign(mount: _Mount) -> bool:
    """Whether a mount shows something of the host that was there before the container."""
    if mount.kind in _OF_THE_KERNEL or str(mount.point) in _ENGINES_OWN:
        return False
    if mount.kind == "devtmpfs" and mount.source in _HARMLESS_DEVICES:
        return False
    return mount.kind != "tmpfs" or mount.device in {ours.device for ours in _mounts("self")}


def _writable_bytes(mounts: list[_Mount], files: RootedFiles, owner: tuple[int, int]) -> int:
    """Add up the sizes of the file systems that the machine's user may write to; -1 where one has no end."""
    total = 0
    for mount in mounts:
        if not mount.writable or mount.kind in _OF_THE_KERNEL:
            continue
        fd = files.open(mount.point, os.O_PATH)
        try:
            seen, size = os.fstat(fd), os.fstatvfs(fd)
        finally:
            os.close(fd)
        if stat.S_ISCHR(seen.st_mode):  # it holds nothing
            continue
        uid, gid = owner
        own, group = seen.st_uid == uid and seen.st_mode & 0o200, seen.st_gid == gid and seen.st_mode & 0o020
        if own or group or seen.st_mode & 0o002 or mount.point == PurePosixPath("/"):
            if mount.kind != "tmpfs":
                return -1
            total += size.f_blocks * size.f_frsize
    return total


def fence_around(init: int, limits: Limits) -> Fence:
    """Find the control groups that a process is in, those whose limits are no higher than was asked for."""
    groups = []
    unified = (_GROUPS / "cgroup.controllers").exists()
    for line in Path(f"/proc/{init}/cgroup").read_text().splitlines():
        _, names, path = line.split(":", 2)
        if names == "" and unified:
            group = _GROUPS / path.lstrip("/")
            held = tuple(name for name in ("memory", "pids") if _holds(group, name, 2, limits))
            groups.append((Hierarchy(version=2, controllers=held, parent=group.parent), group))
        for name in {"memory", "pids"} & set(names.split(",")):
            group = _GROUPS / name / path.lstrip("/")
            if _holds(group, name, 1, limits):
                groups.append((Hierarchy(version=1, controllers=(name,), parent=group.parent), group))
    return Fence(groups=tuple(groups))


def _holds(group: Path, controller: str, version: int, limits: Limits) -> bool:
    """Whether a group or one above it is limited to what was asked for."""
    files = {"memory": "memory.limit_in_bytes" if version == 1 else "memory.max", "pids": "pids.max"}
    most = {"memory": limits.memory_bytes, "pids": limits.processes + OWN_PROCESSES}
    for place in (group, *group.parents):
        with suppress(OSError, ValueError):  # the topmost has no limits; "max" is none
            if int((place / files[controller]).read_text()) <= most[controller]:
                return True
        if place == _GROUPS:
            break
    return False
