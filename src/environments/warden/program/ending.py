"""What a machine consists of on this host, how it is ended, and how one sees that nothing is left of it."""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

TYPE_CHECKING = False  # the module itself takes longer to load than all of this
if TYPE_CHECKING:
    from typing import Any

__all__ = ["PATIENCE_S", "SETTLING_S", "TICK_S", "Hold", "end", "inhabitants", "left_of", "mounts"]

PATIENCE_S = 10.0
"""How long what was killed may take to be gone."""
SETTLING_S = 5.0
"""How long what the runner has closed by itself may take to be gone."""
TICK_S = 0.01
_COMMAND_S = 20.0
_MOMENT_S = 0.05
_LOOKED_AT = ("user", "mnt", "net")


class Hold:
    """One machine: what it consists of on this host, and how long it may live."""

    def __init__(self, *, label: str, ends_at: float) -> None:
        self.label = label
        self.ends_at = ends_at
        self.processes: dict[int, int] = {}
        """Pid to pidfd."""
        self.firsts: set[int] = set()
        """Those that are process 1 of something: the kernel ends with them whatever came after them."""
        self.namespaces: dict[str, int] = {}
        """As the kernel names them, to descriptors: held, a name is not given to others."""
        self.groups: list[str] = []
        self.folders: list[str] = []
        self.commands: list[list[str]] = []
        """What has to be told besides: a container engine, say."""

    def add(self, message: dict[str, Any], descriptors: list[int]) -> None:
        """Take over further parts; the descriptors are the hold's from now on."""
        pids = message.get("processes", [])
        for pid, pidfd in zip(pids, descriptors, strict=False):
            if (older := self.processes.get(pid)) is not None:
                os.close(older)
            self.processes[pid] = pidfd
        if descriptors[len(pids) :]:
            self.firsts.update(pids)
        for fd in descriptors[len(pids) :]:
            name = str(Path(f"/proc/self/fd/{fd}").readlink())
            if name in self.namespaces:
                os.close(fd)
            else:
                self.namespaces[name] = fd
        self.groups += message.get("groups", [])
        self.folders += message.get("folders", [])
        self.commands += message.get("commands", [])

    def close(self) -> None:
        """Let the descriptors go."""
        for fd in (*self.processes.values(), *self.namespaces.values()):
            os.close(fd)
        self.processes.clear()
        self.namespaces.clear()


def end(holds: list[Hold]) -> tuple[float, list[str]]:
    """End machines: every process first, then what remains of them.

    Returns:
        Seconds until the last process was gone, and what could not be removed.
    """
    began = time.monotonic()
    deadline = began + PATIENCE_S
    _kill_firsts(holds)
    pause = 0.001
    while (alive := _kill(holds)) and time.monotonic() < deadline:
        time.sleep(pause)
        pause = min(2 * pause, 0.05)
    took = time.monotonic() - began
    for hold in holds:
        for argv in hold.commands:
            with suppress(OSError, subprocess.TimeoutExpired):
                subprocess.run(
                    argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=_COMMAND_S, check=False
                )
        _remove(hold, deadline=time.monotonic() + (0.0 if alive else SETTLING_S))
    return took, [what for hold in holds for what in left_of(hold)]


def _kill_firsts(holds: list[Hold]) -> None:
    """Kill each process 1, and give its parent a moment to bury it: an orphan is left to the host."""
    parents = []
    for hold in holds:
        for pid, pidfd in hold.processes.items():
            if pid in hold.firsts:
                with suppress(OSError):
                    signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            else:
                parents.append(pidfd)
    deadline = time.monotonic() + _MOMENT_S
    while any(not _exited(pidfd) for pidfd in parents) and time.monotonic() < deadline:
        time.sleep(0.002)


def _kill(holds: list[Hold]) -> int:
    """Kill whatever lives, and return how many did."""
    alive = 0
    for hold in holds:
        for pidfd in hold.processes.values():
            if not _exited(pidfd):
                alive += 1
                with suppress(OSError):
                    signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        for group in hold.groups:
            for pid in _members(group):
                alive += 1
                with suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
    return alive


def _exited(pidfd: int) -> bool:
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(0))


def _members(group: str) -> list[int]:
    with suppress(OSError):
        return [int(pid) for pid in Path(group, "cgroup.procs").read_text().split()]
    return []


def _remove(hold: Hold, *, deadline: float) -> None:
    """Remove groups and folders. The kernel lets go of a group a moment after its last process."""
    while True:
        for group in hold.groups:
            with suppress(OSError):
                Path(group).rmdir()
        for folder in hold.folders:
            shutil.rmtree(folder, ignore_errors=True)
        if not any(Path(place).exists() for place in (*hold.groups, *hold.folders)):
            return
        if time.monotonic() > deadline:
            return
        time.sleep(TICK_S)


def left_of(hold: Hold, living: dict[str, list[int]] | None = None) -> list[str]:
    """Say what is still there of a machine that should be gone.

    Args:
        hold: the machine.
        living: processes by namespace, where they were looked up already.
    """
    found = [f"process {pid} ({_name(pid)})" for pid, pidfd in hold.processes.items() if not _exited(pidfd)]
    found += [f"control group {group}" for group in hold.groups if Path(group).exists()]
    found += [f"folder {folder}" for folder in hold.folders if Path(folder).exists()]
    if hold.namespaces:
        known = living if living is not None else inhabitants()
        for name in hold.namespaces:
            alive = [pid for pid in known.get(name, ()) if not _is_zombie(pid)]
            found += [f"process {pid} ({_name(pid)}) in {name}" for pid in alive]
        found += [f"mount {place}" for root, place in mounts() if root in hold.namespaces]
    found += [f"mount {place}" for _, place in mounts() if place in hold.folders]
    return list(dict.fromkeys(found))


def inhabitants() -> dict[str, list[int]]:
    """Every process by its namespaces that are not our own, as far as we may look.

    Process ids are left out: what is in a machine's own the kernel ends with its process 1.
    """
    found: dict[str, list[int]] = {}
    kinds = [f"ns/{kind}" for kind in _LOOKED_AT]
    ours = {os.readlink(f"/proc/self/{kind}") for kind in kinds}  # noqa: PTH115  hundreds of times a look
    for pid in os.listdir("/proc"):
        if pid.isdigit():
            try:
                for kind in kinds:
                    name = os.readlink(f"/proc/{pid}/{kind}")  # noqa: PTH115
                    if name not in ours:
                        found.setdefault(name, []).append(int(pid))
            except OSError:  # gone, or not ours to look into
                continue
    return found


def mounts() -> list[tuple[str, str]]:
    """Every mount we see: what of its file system is mounted, and where."""
    lines = [line.split() for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    return [(columns[3], columns[4]) for columns in lines]


def _is_zombie(pid: int) -> bool:
    """Whether a process has ended and only waits for its parent, who may be stopped, to take note."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in {"Z", "X"}
    return True


def _name(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().strip()
    return "gone"
