"""Podman and Docker: finding them, and what is said to them."""

from __future__ import annotations

import os
import resource
import shutil
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from environments.containers.obstacles import explain
from environments.containment.fencing import processor_seconds
from environments.errors import Unavailable
from environments.processes import output_of
from environments.sandbox.skeleton import HOME, HOSTNAME

if TYPE_CHECKING:
    from environments.types import Limits

__all__ = ["OWN_PROCESSES", "SHARED_MEMORY_BYTES", "USER", "Engine", "find", "try_out"]

USER = 1000
SHARED_MEMORY_BYTES = 16 << 20
_GROUPS_BYTES = 1 << 20
"""Engines put control groups of the first generation into a directory that anybody can write to."""
OWN_PROCESSES = 8
"""Process 1 and the attendant with its errands: not the agent's to spend."""
_NAMES: tuple[Literal["podman"], Literal["docker"]] = ("podman", "docker")
# Of the runner's environment, what tells an engine where its own things are.
_PASSED = (
    "HOME",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_RUNTIME_DIR",
    "CONTAINERS_CONF",
    "CONTAINERS_STORAGE_CONF",
    "DBUS_SESSION_BUS_ADDRESS",
    "DOCKER_CONFIG",
    "DOCKER_CONTEXT",
    "DOCKER_HOST",
)
# Containers of root run as host users that own nothing. The range lies above those that distributions and
# container engines hand out, and above that of sandboxes. It is the same for all: an engine may have to
# copy an image for every range it is used with.
_FIRST_ID, _IDS = 2_000_000_000, 65536
_MOST_TASKS = 4096
"""The fence for processes is the control group; this only keeps engines from asking for more than we have."""
_SHARES = (("/tmp", 3, "1777"), ("/var/tmp", 1, "1777"), (str(HOME), 12, "0700"))  # noqa: S108  in the machine
"""Where the agent may write, how many sixteenths of the disk it gets there, and with which permissions."""


@dataclass(frozen=True, kw_only=True)
class Engine:
    """An installed engine."""

    name: Literal["podman", "docker"]
    program: str
    """Its path."""

    @property
    def command(self) -> tuple[str, ...]:
        """How it is called."""
        told = tuple(f"{name}={os.environ[name]}" for name in _PASSED if name in os.environ)
        return ("env", *told, self.program)

    async def ask(self, *arguments: str, timeout_s: float = 30.0) -> tuple[int, str]:
        """Run one of its commands and return exit status and output.

        Raises:
            Unavailable: it does not answer.
        """
        try:
            return await output_of([*self.command, *arguments], timeout_s=timeout_s)
        except TimeoutError as error:
            mend = f"`{self.name} info` says what it is waiting for"
            raise Unavailable(f"{self.name} does not answer", mend=mend) from error

    async def has(self, name: str) -> bool:
        """Whether there is a container of that name, in whatever state."""
        return (await self.ask("container", "inspect", "--format", "{{.Id}}", name))[0] == 0

    async def pid_of(self, name: str) -> int:
        """Return process 1 of a container as the engine's host numbers it; 0 where there is none."""
        _, said = await self.ask("container", "inspect", "--format", "pid={{.State.Pid}}", name)
        _, _, text = said.rpartition("pid=")
        return int(text.split()[0]) if text.split() and text.split()[0].isdigit() else 0

    def run(self, image: str, name: str, program: tuple[str, ...], *, limits: Limits) -> list[str]:
        """Return the command that runs `program` as process 1 of a new container, fed by our own input."""
        return [
            *self.command,
            *("run", "--interactive", "--rm", "--pull=never", f"--name={name}", "--label=redline=machine"),
            *("--network=none", "--cgroupns=private", "--ipc=private"),
            *("--read-only", "--cap-drop=all", "--security-opt=no-new-privileges"),
            *(f"--user={USER}:{USER}", f"--hostname={HOSTNAME}", f"--workdir={HOME}"),
            *("--log-driver=none", "--stop-timeout=0", "--no-healthcheck"),
            *self._fences(limits),
            *self._disks(limits.disk_bytes - SHARED_MEMORY_BYTES - _GROUPS_BYTES),
            *(f"--env={variable}" for variable in _variables()),
            *(self._of_podman() if self.name == "podman" else ()),
            *(f"--entrypoint={program[0]}", image, *program[1:]),
        ]

    def enter(self, name: str, *argv: str) -> list[str]:
        """Return the command that runs another program in a container as its user."""
        return [*self.command, "exec", "--interactive", f"--user={USER}:{USER}", name, *argv]

    @staticmethod
    def _fences(limits: Limits) -> list[str]:
        files = _at_most(limits.open_files, resource.RLIMIT_NOFILE)
        tasks = _at_most(_MOST_TASKS, resource.RLIMIT_NPROC)
        return [
            *(f"--memory={limits.memory_bytes}", f"--memory-swap={limits.memory_bytes}"),
            f"--pids-limit={limits.processes + OWN_PROCESSES}",
            f"--cpus={limits.cpus:g}"
            if _may_share_processors()
            else f"--ulimit=cpu={processor_seconds(limits)}:{processor_seconds(limits)}",
            *(f"--ulimit=nofile={files}:{files}", f"--ulimit=nproc={tasks}:{tasks}"),
            f"--shm-size={SHARED_MEMORY_BYTES}",
        ]

    def _disks(self, total: int) -> list[str]:
        whole = sum(share for _, share, _ in _SHARES)
        text = []
        for path, share, mode in _SHARES:
            size = total * share // whole // 4096 * 4096
            if self.name == "podman":
                options = f"tmpfs-size={size},tmpfs-mode={mode},U=true"
                text.append(f"--mount=type=tmpfs,destination={path},{options}")
            else:
                options = f"rw,exec,nosuid,nodev,size={size},mode={mode},uid={USER},gid={USER}"
                text.append(f"--tmpfs={path}:{options}")
        return text

    @staticmethod
    def _of_podman() -> tuple[str, ...]:
        """Return what Podman alone knows. As an ordinary user, that user is the machine's."""
        ids: tuple[str, ...] = (f"--userns=keep-id:uid={USER},gid={USER}",)
        if os.geteuid() == 0:
            ids = (f"--uidmap=0:{_FIRST_ID}:{_IDS}", f"--gidmap=0:{_FIRST_ID}:{_IDS}")
        return (*ids, "--read-only-tmpfs=false", "--systemd=false", "--http-proxy=false", "--uts=private")


def _may_share_processors() -> bool:
    """Whether we may limit processor time by control groups; not every ordinary user was given that."""
    if os.geteuid() == 0:
        return True
    own = Path("/proc/self/cgroup").read_text().rpartition("::")[2].strip().lstrip("/")
    with suppress(OSError):
        return "cpu" in (Path("/sys/fs/cgroup") / own / "cgroup.controllers").read_text().split()
    return False


def _variables() -> tuple[str, ...]:
    who = ("USER=agent", "LOGNAME=agent", "SHELL=/bin/sh")
    return (f"HOME={HOME}", *who, "LANG=C.UTF-8", "TERM=dumb")


def _at_most(wanted: int, what: int) -> int:
    """Return what is wanted, or what we may have ourselves: nobody can hand on more."""
    _, hard = resource.getrlimit(what)
    return wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)


def find(engine: str) -> list[Engine]:
    """Return the engines that `engine` may stand for, best first.

    Args:
        engine: "podman", "docker", the path of either, or "auto".

    Raises:
        Unavailable: none of them is installed.
        ValueError: it is the name of no engine.
    """
    wanted = _NAMES if engine == "auto" else (engine,)
    found = []
    for path in wanted:
        name = next((known for known in _NAMES if known == Path(path).name), None)
        if name is None:
            raise ValueError(f"{engine!r} is no container engine; there are {', '.join(_NAMES)} and auto")
        if (program := shutil.which(path)) is not None:
            found.append(Engine(name=name, program=program))
    if not found:
        missing = "neither podman nor docker is" if engine == "auto" else f"{engine} is not"
        raise Unavailable(f"{missing} installed", mend="sudo apt-get install podman")
    return found


async def try_out(engine: str = "auto") -> str:
    """Find out whether an engine starts containers here, without an image, and say which does.

    Raises:
        Unavailable: none does; the message says why and what to do.
    """
    faults = []
    for found in find(engine):
        status, said = await found.ask("version", "--format", "{{.Client.Version}}")
        if status == 0:
            version = said.split()[-1]
            if found.name == "docker" or (fault := await _not_starting(found)) is None:
                return f"{found.name} {version}"
        else:
            fault = explain(found.name, said)
        faults.append(fault)
    if len(faults) == 1:
        raise faults[0]
    raise Unavailable("; ".join(str(fault) for fault in faults))


async def _not_starting(podman: Engine) -> Unavailable | None:
    """Start a container of an empty directory: one that comes as far as missing its program would start."""
    with tempfile.TemporaryDirectory(prefix="machine-") as empty:
        limits = [f"--ulimit={name}={number}:{number}" for name, number in (("nofile", 64), ("nproc", 64))]
        plain = ("run", "--rm", "--network=none", "--log-driver=none", *limits)
        _, said = await podman.ask(*plain, "--rootfs", empty, "/no-such-program")
    return None if "/no-such-program" in said else explain(podman.name, said)
