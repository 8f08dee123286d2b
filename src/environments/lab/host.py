"""One host of a lab, from its first process to its last."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from environments.containment.fencing import processor_seconds
from environments.errors import Broken
from environments.lab.archive import script
from environments.lab.dialogue import Dialogue, child_of
from environments.sandbox.fences import Fence, hierarchies, raise_fence
from environments.sandbox.skeleton import SUPERVISOR

if TYPE_CHECKING:
    from pathlib import Path

    from environments.lab.ids import LabIds
    from environments.types import Limits
    from environments.warden import Held

__all__ = ["CAPABILITIES", "NETWORK", "OWN_PROCESSES", "Host", "HostPlace"]

NETWORK = "10.77.0.0/24"
_SHARED_MEMORY_BYTES = 16 << 20
OWN_PROCESSES = 6
"""Of the host itself: the two that wait for the others, process 1, the SSH server and a session's halves."""
CAPABILITIES = (
    *("chown", "dac_override", "fowner", "fsetid", "kill", "setgid", "setuid"),
    *("net_bind_service", "sys_chroot", "sys_ptrace"),
)
"""What root of a host can do: serve and look after its users, but not its network, mounts or kernel."""


@dataclass(frozen=True, kw_only=True)
class HostPlace:
    """Where a host is in its lab."""

    number: int
    name: str
    address: str

    @property
    def port(self) -> str:
        """The bridge's end of its cable."""
        return f"port{self.number}"


class Host:
    """A host that is being opened, or is open.

    Args:
        place: where it is.
        ids: the lab's.
        limits: its fences.
        token: of the lab, unique on this host.
    """

    def __init__(self, place: HostPlace, *, ids: LabIds, limits: Limits, token: str) -> None:
        self.place = place
        self.init = 0
        """Its process 1, as the real host numbers it."""
        self.host_key = ""
        """The SSH server's public key."""
        self.fence = Fence(groups=())
        self._ids = ids
        self._limits = limits
        self._label = f"{token}-{place.name}"
        self._talk: Dialogue | None = None

    async def enter(self, fabric: int, archive: int, held: Held) -> int:
        """Make its namespaces within those of `fabric`; return a process in them, which waits to be wired.

        Args:
            fabric: process 1 of the fabric.
            archive: descriptor of the tree that its root starts from.
            held: the lab, as the warden holds it.
        """
        self.fence = raise_fence(self._label, self._limits, own=OWN_PROCESSES)
        first = str(self._ids.share(self.place.number))
        self._talk = Dialogue(
            [
                # Nothing begins before this process is inside its fences.
                *(*self.fence.entering(), "nsenter"),
                # With the fabric's mounts comes a /proc in which bubblewrap finds what it starts.
                *(f"--{kind}=/proc/{fabric}/ns/{name}" for kind, name in _ENTERED),
                *("--setuid", first, "--setgid", first, "--"),
                *("unshare", "--user", "--mount", "--net", "--"),
                # The first shell has no ids yet, and so no power; the second is root of the host.
                *("bash", "-c", 'echo here; read -r _ && exec bash -c "$@"', "host"),
                *(script("stage.bash"), "stage", *self._stage(archive), "--"),
                *_BUBBLEWRAP,
                *("--hostname", self.place.name, "--", *_RENOUNCE, "bash", "--norc", "--noprofile"),
                *("-c", f'eval "$(<{SUPERVISOR})"', "bash", *self._ulimits()),
            ],
            pass_fds=(archive,),
        )
        held.process(self._talk.child.pid)
        await self._talk.expect("here")
        return child_of(self._talk.child.pid)

    async def start(self) -> None:
        """Lay out the wired host's root and start its server.

        Raises:
            Broken: it did not come up; the fault tells why.
        """
        assert self._talk is not None
        self._talk.say("go\n")
        said, _, self.host_key = (await self._talk.hear()).partition(" ")
        if said != "ready":
            raise Broken(f"{self.place.name}: it came up with {said!r}", by_agent=False)
        self.init = child_of(self._talk.child.pid, inside=2)

    async def know(self, known_hosts: str) -> None:
        """Tell it the keys of the lab's hosts, as lines of a known-hosts file."""
        await self.order(f"know\n{known_hosts}.")

    async def order(self, text: str) -> None:
        """Have its process 1 do something; the verbs are those of `init.bash`.

        Raises:
            Broken: it was not done; the fault tells why.
        """
        assert self._talk is not None
        await self._talk.order(text)

    @property
    def groups(self) -> list[Path]:
        """Its control groups, made or not."""
        return [hierarchy.parent / self._label for hierarchy in hierarchies()]

    def _stage(self, archive: int) -> tuple[str, ...]:
        size = self._limits.disk_bytes - _SHARED_MEMORY_BYTES
        return (self.place.name, self.place.address, NETWORK, str(size), str(archive))

    def _ulimits(self) -> tuple[str, str, str, str]:
        """Open files, processes, KiB of address space, processor seconds: what no control group counts."""
        enforced = self.fence.enforced()
        processes = "hard" if "pids" in enforced else str(self._limits.processes + OWN_PROCESSES)
        space = "hard" if "memory" in enforced else str(self._limits.memory_bytes >> 10)
        seconds = "hard" if "cpu" in enforced else str(processor_seconds(self._limits))
        return str(self._limits.open_files), processes, space, seconds

    def end(self) -> None:
        """Let the host go, once the fabric has taken its processes along."""
        if self._talk is not None:
            self._talk.close()

    def complaint(self) -> str:
        """Return what the chain printed before it failed."""
        return self._talk.complaint() if self._talk is not None else ""


_ENTERED = (("user", "user"), ("pid", "pid"), ("mount", "mnt"))
# bubblewrap leaves the bounding set as it is where it was started by root.
_RENOUNCE = (
    *("setpriv", "--inh-caps=-all", "--ambient-caps=-all"),
    f"--bounding-set=-all,{','.join(f'+{name}' for name in CAPABILITIES)}",
)
_BUBBLEWRAP = (
    *("bwrap", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup"),
    *("--die-with-parent", "--as-pid-1", "--cap-drop", "ALL"),
    *(word for name in (*CAPABILITIES, "setpcap") for word in ("--cap-add", f"CAP_{name.upper()}")),
    *("--bind", "tree", "/"),
    *("--proc", "/proc", "--dev", "/dev"),
    *("--perms", "1777", "--size", str(_SHARED_MEMORY_BYTES), "--tmpfs", "/dev/shm", "--remount-ro", "/dev"),  # noqa: S108  in the host
    *("--bind", "local", "/usr/local"),
    *("--clearenv", "--setenv", "PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
    *("--setenv", "HOME", "/root", "--setenv", "LANG", "C.UTF-8"),
    *("--chdir", "/"),
)
