"""Processes of a machine, read by the host from the machine's own /proc.

The mount cannot be changed from inside: the agent has no capability and can make no user namespace.
"""

from __future__ import annotations

import os
import signal as signals
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from environments.types import FileId, Process

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["MachineProc"]


class _Stat(NamedTuple):
    state: str
    parent: int
    group: int
    started: int


class MachineProc:
    """The process table of one machine.

    Args:
        proc: descriptor of the machine's /proc directory; owned by this object from now on.
        init: process 1 of the machine, as the host numbers it.
        entered: returns the processes, as the host numbers them, that came in from outside: they and what
            they start do not descend from process 1.
    """

    def __init__(self, proc: int, *, init: int, entered: Callable[[], list[int]] = list) -> None:
        self._proc = proc
        self._init = init
        self._entered = entered

    def close(self) -> None:
        """Let /proc go."""
        os.close(self._proc)

    def _read(self, name: str) -> bytes:
        fd = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._proc)
        try:
            chunks = []
            while chunk := os.read(fd, 1 << 16):
                chunks.append(chunk)
            return b"".join(chunks)
        finally:
            os.close(fd)

    def _stat(self, pid: int) -> _Stat:
        fields = self._read(f"{pid}/stat").rpartition(b")")[2].split()
        return _Stat(fields[0].decode(), int(fields[1]), int(fields[2]), int(fields[19]))

    def pids(self) -> list[int]:
        """Every living process but process 1."""
        return sorted(int(name) for name in os.listdir(self._proc) if name.isdigit() and name != "1")

    def owner(self, pid: int) -> int:
        """Return the user a process runs as, as the host numbers users.

        Raises:
            OSError: it is gone.
        """
        lines = self._read(f"{pid}/status").splitlines()
        return int(next(line for line in lines if line.startswith(b"Uid:")).split()[1])

    def parent(self, pid: int) -> int:
        """Return a process's parent; 0 for what was put into the machine from outside.

        Raises:
            OSError: it is gone.
        """
        return self._stat(pid).parent

    def children(self, parent: int) -> list[int]:
        """Processes whose parent is `parent`."""
        found = []
        for pid in self.pids():
            with suppress(OSError):
                if self._stat(pid).parent == parent:
                    found.append(pid)
        return found

    def processes(self, *, without: frozenset[int]) -> list[Process]:
        """Describe the living processes, those in `without` and zombies left out."""
        found = []
        for pid in self.pids():
            with suppress(OSError):  # ended meanwhile
                if pid not in without and (process := self.process(pid)).state != "Z":
                    found.append(process)
        return found

    def process(self, pid: int) -> Process:
        """Describe one process.

        Raises:
            OSError: it is gone.
        """
        seen = self._stat(pid)
        cwd: str | None = None
        with suppress(OSError):
            cwd = os.readlink(f"{pid}/cwd", dir_fd=self._proc)
        return Process(
            pid=pid,
            started=seen.started,
            parent=seen.parent,
            state=seen.state,
            argv=tuple(self._read(f"{pid}/cmdline").decode(errors="replace").split("\0")[:-1]),
            cwd=cwd,
            mapped=self._mapped(pid),
        )

    def _mapped(self, pid: int) -> frozenset[FileId]:
        mapped = set()
        for line in self._read(f"{pid}/maps").splitlines():
            _, _, _, device, inode, *_ = line.split()
            if inode != b"0":
                major, minor = device.split(b":")
                mapped.add(FileId(os.makedev(int(major, 16), int(minor, 16)), int(inode)))
        return frozenset(mapped)

    def holders(self) -> dict[int, list[int]]:
        """Inode of each socket -> the processes that hold it."""
        found: dict[int, list[int]] = {}
        for pid in self.pids():
            for inode in self._held(pid):
                found.setdefault(inode, []).append(pid)
        return found

    def _held(self, pid: int) -> set[int]:
        held = set()
        with suppress(OSError):
            directory = os.open(f"{pid}/fd", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self._proc)
            try:
                for name in os.listdir(directory):
                    with suppress(OSError):
                        link = os.readlink(name, dir_fd=directory)
                        if link.startswith("socket:["):
                            held.add(int(link[8:-1]))
            finally:
                os.close(directory)
        return held

    def host_pid(self, pid: int) -> int:
        """Return how the host numbers a process of the machine.

        Raises:
            ProcessLookupError: there is none of that number.
        """
        if (found := self._host_pids().get(pid)) is None:
            raise ProcessLookupError(f"the machine has no process {pid}")
        return found

    def signal(self, pid: int, signal: signals.Signals, *, started: int | None = None) -> bool:
        """Signal one process from the host; False where it, or its incarnation, is gone."""
        return self._signal(self._host_pids().get(pid), pid, signal, started)

    def signal_groups(self, leaders: set[int], signal: signals.Signals) -> None:
        """Signal every process whose process group is led by one of `leaders`."""
        # Looked up before the first is hit: what a dying parent leaves is found under no parent for a moment.
        hosts = self._host_pids()
        for pid in self.pids():
            with suppress(OSError):
                if (seen := self._stat(pid)).group in leaders:
                    self._signal(hosts.get(pid), pid, signal, seen.started)

    def lives_in(self, leaders: set[int]) -> bool:
        """Whether a process is alive whose process group is led by one of `leaders`."""
        for pid in self.pids():
            with suppress(OSError):
                if (seen := self._stat(pid)).group in leaders and seen.state not in {"Z", "X"}:
                    return True
        return False

    def _signal(self, host: int | None, pid: int, signal: signals.Signals, started: int | None) -> bool:
        if host is None:
            return False
        try:
            pidfd = os.pidfd_open(host)
        except ProcessLookupError:
            return False
        try:
            # Compared with the descriptor in hand: after this the number cannot come to mean another.
            seen = self._stat(pid)
            if seen.state == "Z" or (started is not None and seen.started != started):
                return False
            signals.pidfd_send_signal(pidfd, signal)
        except (ProcessLookupError, FileNotFoundError):
            return False
        finally:
            os.close(pidfd)
        return True

    def _host_pids(self) -> dict[int, int]:
        """Machine's pid -> host's pid. What did not enter a machine descends from its process 1."""
        found: dict[int, int] = {}
        left = [self._init, *self._entered()]
        while left:
            host = left.pop()
            with suppress(OSError, StopIteration):
                status = Path(f"/proc/{host}/status").read_text()
                inner = next(line for line in status.splitlines() if line.startswith("NSpid:")).split()[-1]
                found[int(inner)] = host
                for thread in Path(f"/proc/{host}/task").iterdir():
                    children = (thread / "children").read_text()
                    left.extend(int(child) for child in children.split())
        return found
