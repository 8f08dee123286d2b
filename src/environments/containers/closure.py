"""The certificate of a container: read from the kernel and tried as the agent, not asked of the engine."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from environments.attendant.witness import ThroughAttendant
from environments.containers.engines import OWN_PROCESSES
from environments.containment.examination import Examination
from environments.containment.fencing import fences_of
from environments.containment.inside import Declared
from environments.containment.kernel import OF_THE_KERNEL, Mount, mounts, status_of
from environments.sandbox.closure import DECLARED, Outside
from environments.sandbox.fences import Fence, Hierarchy
from environments.types import Certificate, Probe

if TYPE_CHECKING:
    from environments.attendant import Attendant
    from environments.sandbox.procfs import MachineProc
    from environments.sandbox.rooted import RootedFiles
    from environments.types import Limits

__all__ = ["Within", "certify", "fence_around"]

_GROUPS = Path("/sys/fs/cgroup")
_ENGINES_OWN = {
    # what every engine puts over an image: the root itself, files about names, shared memory
    *("/", "/dev/shm", "/etc/group", "/etc/hostname", "/etc/hosts", "/etc/passwd", "/etc/resolv.conf"),  # noqa: S108
    *("/run/.containerenv", "/run/secrets", "/var/run/.containerenv"),
}
_FILTERED = "2"
_OF_A_PROCESS = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp", "Uid", "Gid")
_SEES = ("sees of the host", "the image; which kernel it runs, processors and load")


@dataclass(frozen=True, kw_only=True)
class Within:
    """What is particular about a container, beside what it has in common with every machine of namespaces.

    Args:
        init: process 1 of the machine, as the host numbers it.
        attendant: what runs the agent's commands.
        proc: the machine's processes.
        files: the machine's files.
        owner: host uid and gid of the machine's user.
        limits: what was asked for.
        nests: whether further user namespaces can be made inside.
    """

    init: int
    attendant: Attendant
    proc: MachineProc
    files: RootedFiles
    owner: tuple[int, int]
    limits: Limits
    nests: bool

    def __call__(self) -> tuple[Probe, ...]:
        """Look once.

        Raises:
            OSError: the machine is gone.
        """
        table = list(mounts(self.init))
        bare = next(mount for mount in table if mount.point == PurePosixPath("/"))
        written = _writable_bytes(table, self.files, self.owner)
        filtered = status_of(self.init).get("Seccomp") == _FILTERED
        return (
            Probe(name="system calls", declared="filtered", found=_yes(filtered, "filtered", "not filtered")),
            Probe(name="image", declared="read-only", found=_yes(not bare.writable, "read-only", "writable")),
            Probe(
                name="further namespaces",
                declared="refused",
                found=_yes(not self.nests, "refused", "not shown to be"),
            ),
            Probe(
                name="disk fence",
                declared="up",
                found=_yes(0 < written <= self.limits.disk_bytes, "up", "down"),
            ),
            *self._agents_processes(),
        )

    def _agents_processes(self) -> tuple[Probe, ...]:
        """Compare what the agent's commands descend from with process 1; nothing where it was just killed."""
        with suppress(OSError):
            traits = _traits(self.proc.host_pid(self.attendant.hello.pid))
            same = _yes(traits == _traits(self.init), "as process 1", "different")
            return (Probe(name="agent's processes", declared="as process 1", found=same),)
        return ()


async def certify(outside: Outside, within: Within) -> tuple[Certificate, Examination]:
    """Examine a container that is open and empty; return its certificate, and what examines it again."""
    places = frozenset(_ENGINES_OWN)
    closure = Examination(
        outside=replace(outside, own=frozenset((place, "*") for place in places), more=within),
        inside=ThroughAttendant(within.attendant),
        declared=Declared(places=places),
    )
    declared = tuple(_SEES if subject == _SEES[0] else (subject, words) for subject, words in DECLARED)
    certificate = Certificate(
        provider="container",
        grade="host",
        probes=await closure.examine("before"),
        fences=fences_of(outside.fence, outside.limits, disk="tmpfs size", output="a cap on what is kept"),
        declared=declared,
    )
    return certificate, closure


def _yes(holds: bool, then: str, otherwise: str) -> str:  # noqa: FBT001  reads as a condition
    return then if holds else otherwise


def _traits(pid: int) -> tuple[object, ...]:
    """What decides how far a process gets: two that share it are fenced alike."""
    status = status_of(pid)
    namespaces = [(link.name, str(link.readlink())) for link in sorted(Path(f"/proc/{pid}/ns").iterdir())]
    groups = Path(f"/proc/{pid}/cgroup").read_text()
    return ([status.get(name) for name in _OF_A_PROCESS], namespaces, groups)


def _writable_bytes(table: list[Mount], files: RootedFiles, owner: tuple[int, int]) -> int:
    """Add up the sizes of the file systems that the machine's user may write to; -1 where one has no end."""
    total = 0
    for mount in table:
        if not mount.writable or mount.kind in OF_THE_KERNEL:
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
    groups, settings = [], []
    unified = (_GROUPS / "cgroup.controllers").exists()
    for line in Path(f"/proc/{init}/cgroup").read_text().splitlines():
        _, names, path = line.split(":", 2)
        version, wanted = (2, _CONTROLLERS) if names == "" else (1, _CONTROLLERS & set(names.split(",")))
        if version == 2 and not unified:
            continue
        for name in sorted(wanted):
            group = (_GROUPS if version == 2 else _GROUPS / name) / path.lstrip("/")
            if (limit := _limit(group, name, version, limits)) is not None:
                groups.append((Hierarchy(version=version, controllers=(name,), parent=group.parent), group))
                settings.append((limit, limit.read_text().strip()))
    return Fence(groups=tuple(groups), settings=tuple(settings))


_CONTROLLERS = {"memory", "pids", "cpu"}
_FILES = {
    ("memory", 1): "memory.limit_in_bytes",
    ("memory", 2): "memory.max",
    ("pids", 1): "pids.max",
    ("pids", 2): "pids.max",
    ("cpu", 1): "cpu.cfs_quota_us",
    ("cpu", 2): "cpu.max",
}


def _limit(group: Path, controller: str, version: int, limits: Limits) -> Path | None:
    """Return the file of a group, or of one above it, that limits it to what was asked for."""
    most = {
        "memory": float(limits.memory_bytes),
        "pids": limits.processes + OWN_PROCESSES,
        "cpu": limits.cpus + 0.01,
    }
    for place in (group, *group.parents):
        file = place / _FILES[controller, version]
        with suppress(OSError, ValueError):  # the topmost has no limits; "max" is none
            first, *period = file.read_text().split()
            if controller == "cpu" and version == 1:
                period = [(place / "cpu.cfs_period_us").read_text()]
            if 0 <= int(first) / int(period[0] if period else 1) <= most[controller]:
                return file
        if place == _GROUPS:
            break
    return None
