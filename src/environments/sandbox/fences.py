"""Resource fences of a machine: control groups where the host lets us make them, rlimits everywhere.

Both generations of control groups are used as found. A group is made before the machine's first process,
which is put into it before it does anything, and is removed after the last one is gone.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from environments.types import Limits

__all__ = ["Fence", "Hierarchy", "hierarchies", "raise_fence"]

_ENTER = 'until [ "$1" = -- ]; do echo 0 >"$1" || exit; shift; done; shift; exec "$@"'
_CONTROLLERS = ("memory", "pids", "cpu")
_PERIOD_US = 100_000


@dataclass(frozen=True, kw_only=True)
class Hierarchy:
    """A place where groups with these controllers can be made."""

    version: int
    controllers: tuple[str, ...]
    parent: Path


@dataclass(frozen=True, kw_only=True)
class Fence:
    """The groups of one machine."""

    groups: tuple[tuple[Hierarchy, Path], ...]
    settings: tuple[tuple[Path, str], ...] = ()
    """What was set: file and value."""

    @property
    def paths(self) -> tuple[Path, ...]:
        """Where the groups are."""
        return tuple(group for _, group in self.groups)

    def entering(self) -> tuple[str, ...]:
        """Return what starts a command inside the groups, to be put before it.

        A process that puts itself in, thread by thread, waits for nobody; put in by another, it has both wait
        until every processor of the host has passed a quiet moment.
        """
        if not self.groups:
            return ()
        files = (group / ("tasks" if h.version == 1 else "cgroup.procs") for h, group in self.groups)
        return ("sh", "-c", _ENTER, "fenced", *map(str, files), "--")

    def enforced(self) -> dict[str, str]:
        """Controller -> what enforces it, for the certificate."""
        return {name: f"cgroup v{h.version}" for h, _ in self.groups for name in h.controllers}

    def standing(self) -> frozenset[str]:
        """Controllers whose limits are still as they were set."""
        moved = {path.parent for path, value in self.settings if _now(path) != value}
        return frozenset(name for h, group in self.groups if group not in moved for name in h.controllers)

    def holds(self, pid: int) -> bool:
        """Whether the host's process `pid` is inside every group."""
        return all(str(pid) in (group / "cgroup.procs").read_text().split() for _, group in self.groups)

    def memory_kills(self) -> int:
        """How often the kernel ended a process of the machine for want of memory."""
        for hierarchy, group in self.groups:
            if "memory" in hierarchy.controllers:
                name = "memory.events" if hierarchy.version == 2 else "memory.oom_control"
                with suppress(FileNotFoundError):  # the machine is gone, and its groups with it
                    fields = dict(line.split() for line in (group / name).read_text().splitlines())
                    return int(fields.get("oom_kill", 0))
        return 0

    async def lower(self, *, patience_s: float = 5.0) -> bool:
        """Remove the groups; False when a process would not leave."""
        deadline = asyncio.get_running_loop().time() + patience_s
        for _, group in self.groups:
            while group.exists():
                with suppress(OSError):
                    group.rmdir()
                    break
                if asyncio.get_running_loop().time() > deadline:
                    return False
                await asyncio.sleep(0.002)
        return True


def raise_fence(label: str, limits: Limits, *, own: int = 2) -> Fence:
    """Make the groups of one machine and set their limits.

    Args:
        label: name of the groups, of no other machine on this host.
        limits: what is set.
        own: processes of the machine itself, which are not the agent's to spend.

    Raises:
        OSError: the host changed its mind about letting us.
    """
    groups: list[tuple[Hierarchy, Path]] = []
    settings: list[tuple[Path, str]] = []
    try:
        for hierarchy in hierarchies():
            group = hierarchy.parent / label
            group.mkdir()
            groups.append((hierarchy, group))
            for name, value in _settings(hierarchy, limits, own).items():
                (group / name).write_text(value)
                settings.append((group / name, _now(group / name)))
    except BaseException:
        for _, group in groups:
            group.rmdir()
        raise
    return Fence(groups=tuple(groups), settings=tuple(settings))


def _now(path: Path) -> str:
    """Return what the kernel says is set; it rounds."""
    return path.read_text().strip()


def _settings(hierarchy: Hierarchy, limits: Limits, own: int) -> dict[str, str]:
    """Limit files of one group, in the order in which they are set."""
    settings: dict[str, str] = {}
    if "memory" in hierarchy.controllers:
        names = ("memory.max",) if hierarchy.version == 2 else ("memory.limit_in_bytes",)
        settings |= dict.fromkeys(names, str(limits.memory_bytes))
        swap = "memory.swap.max" if hierarchy.version == 2 else "memory.swappiness"
        settings[swap] = "0"
    if "pids" in hierarchy.controllers:
        settings["pids.max"] = str(limits.processes + own)
    if "cpu" in hierarchy.controllers:
        quota = max(1000, int(limits.cpus * _PERIOD_US))
        if hierarchy.version == 2:
            settings["cpu.max"] = f"{quota} {_PERIOD_US}"
        else:
            settings |= {"cpu.cfs_period_us": str(_PERIOD_US), "cpu.cfs_quota_us": str(quota)}
    return settings


@cache
def hierarchies() -> tuple[Hierarchy, ...]:
    """Where this process may make groups; found once, by trying. Empty where it may not."""
    root = Path("/sys/fs/cgroup")
    if (found := _unified(root)) is not None:
        return (found,)
    first = [h for name in _CONTROLLERS if (h := _legacy(root, name)) is not None]
    return tuple(first)


def _unified(root: Path) -> Hierarchy | None:
    """Version 2, in the delegated subtree this process is in or, as root, beside it."""
    if not (root / "cgroup.controllers").exists():
        return None
    own = Path("/proc/self/cgroup").read_text().rpartition("::")[2].strip().lstrip("/")
    for base in (root, root / own) if os.geteuid() == 0 else (root / own,):
        with suppress(OSError):
            parent = base / "redline"
            offered = (base / "cgroup.controllers").read_text().split()
            controllers = tuple(name for name in _CONTROLLERS if name in offered)
            ask = " ".join(f"+{name}" for name in controllers)
            if not controllers:
                continue
            if base == root / own and os.geteuid() != 0:
                # Groups with members cannot hand controllers down: step into a leaf of our own first.
                leaf = base / "runner"
                leaf.mkdir(exist_ok=True)
                (leaf / "cgroup.procs").write_text("0")
            (base / "cgroup.subtree_control").write_text(ask)
            parent.mkdir(exist_ok=True)
            (parent / "cgroup.subtree_control").write_text(ask)
            return Hierarchy(version=2, controllers=controllers, parent=parent)
    return None


def _legacy(root: Path, controller: str) -> Hierarchy | None:
    """Version 1: one hierarchy a controller."""
    parent = root / controller / "redline"
    with suppress(OSError):
        parent.mkdir(exist_ok=True)
        probe = parent / f"probe-{os.getpid()}"
        probe.mkdir()
        probe.rmdir()
        return Hierarchy(version=1, controllers=(controller,), parent=parent)
    return None
