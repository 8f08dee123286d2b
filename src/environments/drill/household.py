"""Everything on this host that belongs to one runner and its machine, found while both are well."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from environments.drill.traces import marked, stat_of
from environments.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

__all__ = ["Household", "namespaces"]

_KINDS = ("pid", "net", "mnt", "ipc", "uts", "user")
_GROUPS = Path("/sys/fs/cgroup")
_WARDEN = "environments/warden/"
_PAUSE_S = 0.01


class Household:
    """The processes of a runner's machine, and what the machine otherwise consists of.

    Args:
        runner: its process.
        token: mark of what runs on the machine.
        folders: where everything lies that the runner makes.
        before: the namespaces that there were before it came; whoever is in those is not its own.
    """

    def __init__(self, runner: int, *, token: str, folders: tuple[Path, ...], before: frozenset[str]) -> None:
        self._token = token
        self._folders = folders
        family = _descendants(runner)
        self._wardens = [pid for pid in family if _WARDEN in _command_line(pid)]
        services = marked(token)
        worlds = {_namespace(pid, "pid") for pid in services} - before - {""}
        inside = [pid for pid in _all() if _namespace(pid, "pid") in worlds]
        members = {*family, *services, *inside} - {runner, os.getpid(), *self._wardens}
        self._machine = {pid: fd for pid in sorted(members) if (fd := _pidfd(pid)) >= 0}
        self._others = {pid: fd for pid in self._wardens if (fd := _pidfd(pid)) >= 0}
        others = {*before, *namespaces(without=members)}
        # Held, so that the kernel gives none of their numbers to a namespace that others make meanwhile.
        self._namespaces = {name: fd for pid in members for name, fd in _spaces(pid, without=others)}
        self._groups = {group for pid in members for group in _groups_of(pid)} - set(_groups_of(os.getpid()))

    def warden(self) -> int:
        """Return the warden's process.

        Raises:
            Unavailable: this runner has none.
        """
        # The warden proper is the older of the two: it has started the other.
        for pid in self._wardens:
            if not _gone(self._others.get(pid, -1)):
                return pid
        raise Unavailable("the drill's runner has no warden")

    async def quiet(self, patience_s: float) -> bool:
        """Wait until no process of the machine is left; False where one stays."""
        deadline = time.monotonic() + patience_s
        while time.monotonic() < deadline:
            if all(map(_gone, self._machine.values())) and not marked(self._token):
                return True
            await asyncio.sleep(_PAUSE_S)
        return False

    async def left(self, patience_s: float) -> list[str]:
        """Wait until nothing is left, and return what is."""
        deadline = time.monotonic() + patience_s
        while (found := self._left()) and time.monotonic() < deadline:  # noqa: ASYNC110  the host tells nobody
            await asyncio.sleep(0.05)
        return found

    def _left(self) -> list[str]:
        found = [f"process {pid}" for pid, fd in {**self._machine, **self._others}.items() if not _gone(fd)]
        found += [f"process {pid}" for pid in marked(self._token)]
        found += [f"control group {group}" for group in sorted(self._groups) if group.is_dir()]
        found += [f"{path.parent.name}/{path.name}" for folder in self._folders for path in _contents(folder)]
        table = Path("/proc/self/mountinfo").read_text()
        found += [f"a mount in {folder}" for folder in self._folders if f" {folder}" in table]
        if not found:  # the slowest look comes last
            found += sorted(namespaces() & {*self._namespaces})
        return found

    def end(self) -> None:
        """Kill what is left of it all, and let it go."""
        for fd in (*self._machine.values(), *self._others.values()):
            with suppress(OSError):
                signal.pidfd_send_signal(fd, signal.SIGKILL)
            os.close(fd)
        for fd in self._namespaces.values():
            os.close(fd)
        for group in self._groups:
            with suppress(OSError):
                group.rmdir()


def namespaces(without: Container[int] = ()) -> frozenset[str]:
    """Return the namespaces that this host's processes are in, some processes aside."""
    return frozenset(_namespace(pid, kind) for pid in _all() if pid not in without for kind in _KINDS)


def _all() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _descendants(ancestor: int) -> list[int]:
    """Return the living descendants of a process, the older ones first."""
    parents = {pid: int(fields[1]) for pid in _all() if (fields := stat_of(pid)) and fields[0] != "Z"}
    found = [ancestor]
    for each in found:
        found += [pid for pid, parent in parents.items() if parent == each]
    return found[1:]


def _command_line(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
    return ""


def _namespace(pid: int | str, kind: str) -> str:
    with suppress(OSError):
        return str(Path(f"/proc/{pid}/ns/{kind}").readlink())
    return ""


def _spaces(pid: int, *, without: set[str]) -> Iterator[tuple[str, int]]:
    """Open the namespaces of a process that nobody else is in; each is named once."""
    for kind in _KINDS:
        with suppress(OSError):
            if (name := _namespace(pid, kind)) not in without:
                fd = os.open(f"/proc/{pid}/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC)
                without.add(name)
                yield name, fd


def _groups_of(pid: int) -> list[Path]:
    """Return the control groups of a process, as far as they can be seen from here."""
    found = []
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            for name in (controllers.removeprefix("name="), "unified", ""):
                group = _GROUPS / name / path.lstrip("/")
                if path != "/" and (group / "cgroup.procs").exists():
                    found.append(group)
                    break
    return found


def _pidfd(pid: int) -> int:
    with suppress(OSError):
        return os.pidfd_open(pid)
    return -1


def _gone(pidfd: int) -> bool:
    """Whether a process has ended, buried or not."""
    return pidfd < 0 or bool(select.select([pidfd], [], [], 0)[0])


def _contents(folder: Path) -> list[Path]:
    with suppress(OSError):
        return [path for path in sorted(folder.iterdir()) if path.name != "redline"]
    return []
