"""Opens and closes sandboxes."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import tempfile
import weakref
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from environments.containment.fencing import processor_seconds
from environments.containment.inside import Declared
from environments.endings import to_the_end
from environments.errors import Broken
from environments.processes import Child, readable
from environments.sandbox.closure import Outside, certify
from environments.sandbox.fences import Fence, hierarchies, raise_fence
from environments.sandbox.gate import NamespaceGate
from environments.sandbox.identity import FIRST_UID, UIDS
from environments.sandbox.machine import SandboxControl, SandboxEnvironment
from environments.sandbox.obstacles import explain
from environments.sandbox.procfs import MachineProc
from environments.sandbox.rooted import RootedFiles
from environments.sandbox.shell import Shell
from environments.sandbox.skeleton import HOME, HOSTNAME, SUPERVISOR, lay_out
from environments.sandbox.sockets import Dialer
from environments.types import Lease, Limits
from environments.warden import hold

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from environments.warden import Held, Warden

__all__ = ["Sandbox"]

_OPENING_S = 20.0
_SHARED_MEMORY_BYTES = 16 << 20
_SESSION_BYTES = 32 << 20
_OWN_PROCESSES = 6
"""Process 1 and what redline looks around with: not the agent's to spend."""
_SESSION = PurePosixPath("/run/session")
_skeletons: weakref.WeakKeyDictionary[Warden, Path] = weakref.WeakKeyDictionary()


@dataclass(frozen=True, kw_only=True)
class Sandbox:
    """Provider of bubblewrap sandboxes: private namespaces, loopback only, a copy-on-write root.

    Works as root and as an ordinary user. As root it first becomes a user that owns nothing, so both ways
    end in the same machine: its user owns everything in it but `/usr`, which is the host's, read through a
    copy-on-write layer.
    """

    limits: Limits = field(default_factory=Limits)
    name: str = "sandbox"

    @asynccontextmanager
    async def open(self, *, label: str, seed: int) -> AsyncGenerator[Lease, None]:
        """Open one sandbox; leaving the context ends every process in it and proves that nothing is left.

        Raises:
            Unavailable: this host does not let us; the message says what to do about it.
            Leaked: something of the machine outlived it.
            Halted: the warden has ended every machine of this process.
        """
        del seed  # every sandbox is the same machine
        async with AsyncExitStack() as stack:
            opening = _Opening(label=label, limits=self.limits)
            stack.push_async_callback(opening.tear_down)
            try:
                async with asyncio.timeout(_OPENING_S):
                    lease = await opening.run()
            except (OSError, TimeoutError, Broken) as error:
                raise explain(opening.complaint() or str(error)) from error
            yield lease


class _Opening:
    """One sandbox from its first file to its last."""

    def __init__(self, *, label: str, limits: Limits) -> None:
        self._label = label
        self._limits = limits
        self._token = secrets.token_hex(6)
        self._owner = _user_of_machines()
        self._held: Held | None = None
        self._stage: Path | None = None
        self._fence = Fence(groups=())
        self._child: Child | None = None
        self._init = 0
        self._pipes: list[int] = []
        self._parts: list[Shell | RootedFiles | MachineProc | Dialer] = []
        self._log = -1

    async def run(self) -> Lease:
        """Open the machine.

        Raises:
            OSError: the host refused a part of it.
            TimeoutError, Broken: it did not come up.
        """
        # What will have to be removed is known to the warden before it is there.
        self._stage = Path(tempfile.gettempdir(), f"machine-{self._token}")
        groups = [hierarchy.parent / self._token for hierarchy in hierarchies()]
        lifetime_s = self._limits.lifetime_s
        held = self._held = hold(self._label, lifetime_s=lifetime_s, folders=[self._stage], groups=groups)
        self._stage.mkdir(mode=0o700)
        os.chown(self._stage, *self._owner)
        self._fence = raise_fence(self._token, self._limits, own=_OWN_PROCESSES)
        self._log = os.memfd_create("stage")
        requests_out, requests_in = self._pipe()
        ready_out, ready_in = self._pipe()
        info_out, info_in = self._pipe()
        self._child = Child(
            self._command(info_in), stdin=requests_out, stdout=ready_in, stderr=self._log, pass_fds=(info_in,)
        )
        held.process(self._child.pid)
        for end in (requests_out, ready_in, info_in):
            self._close_pipe(end)
        os.write(requests_in, b"go\n")
        await readable(ready_out)
        if os.read(ready_out, 64) != b"ready\n":
            raise Broken("the machine did not come up", by_agent=False)
        # The supervisor speaks after bubblewrap has written all it knows.
        self._init = json.loads(os.read(info_out, 4096))["child-pid"]
        held.process(self._init, namespaces=True)
        return await self._lease(requests_in)

    async def _lease(self, supervisor: int) -> Lease:
        root = os.open(f"/proc/{self._init}/root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        files = RootedFiles(root)
        self._parts.append(files)
        readable = os.O_RDONLY | os.O_DIRECTORY
        proc = MachineProc(files.open(PurePosixPath("/proc"), readable), init=self._init)
        self._parts.append(proc)
        shell = Shell(
            files.open(_SESSION, readable),
            supervisor,
            proc,
            owner=self._owner,
            output_bytes=self._limits.output_bytes,
            agents_doing=self._agents_doing,
        )
        self._parts.append(shell)
        assert self._child is not None
        assert self._held is not None
        dialer = Dialer(
            user_namespace=f"/proc/{self._child.pid}/ns/user",
            network_namespace=f"/proc/{self._init}/ns/net",
            started=self._held.process,
        )
        self._parts.append(dialer)
        agent = SandboxEnvironment(shell, home=HOME)
        control = SandboxControl(agent, shell=shell, files=files, proc=proc, dialer=dialer, owner=self._owner)
        certificate, closure = await certify(
            Outside(
                init=self._init,
                root=root,
                files=files,
                fence=self._fence,
                limits=self._limits,
                own_processes=_OWN_PROCESSES,
            ),
            shell=shell,
            declared=Declared(kinds=Declared().kinds | {"overlay"}),
            agents_doing=self._agents_doing,
        )
        gate = NamespaceGate(dialer, proc)
        return Lease(agent=agent, control=control, certificate=certificate, closure=closure, gate=gate)

    def _command(self, info: int) -> list[str]:
        """Return the whole chain. Each program becomes the next: one process, no wrapper left behind."""
        assert self._held is not None
        uid, gid = self._owner
        drop = ("setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups")
        enter = ("unshare", "--user", "--map-root-user", "--mount")
        size = self._limits.disk_bytes - _SHARED_MEMORY_BYTES - _SESSION_BYTES
        stage = (
            "sh",
            "-c",
            _script("stage.sh"),
            "stage",
            str(self._stage),
            str(_skeleton(self._held.warden)),
            str(size),
            "--",
        )
        return [
            *self._fence.entering(),
            *(drop if os.geteuid() == 0 else ()),
            *enter,
            *stage,
            *_BUBBLEWRAP,
            *("--info-fd", str(info)),
            *("--", "bash", "--norc", "--noprofile", "-c", f'eval "$(<{SUPERVISOR})"', "bash"),
            *self._ulimits(),
        ]

    def _ulimits(self) -> tuple[str, ...]:
        """Open files, processes, KiB of address space, processor seconds, and our own processes on top."""
        limits, enforced = self._limits, self._fence.enforced()
        space = "unlimited" if "memory" in enforced else str(limits.memory_bytes >> 10)
        seconds = "unlimited" if "cpu" in enforced else str(processor_seconds(limits))
        return str(limits.open_files), str(limits.processes), space, seconds, str(_OWN_PROCESSES)

    def _agents_doing(self) -> bool:
        """Whether a machine that fails its commands was failed from inside.

        Process 1 cannot be ended from inside but by using up the machine's memory; while it lives, what
        keeps it from starting commands was started by a command.
        """
        alive = self._child is not None and self._child.returncode is None
        return alive or self._fence.memory_kills() > 0

    def complaint(self) -> str:
        """Return what the chain printed before it failed."""
        if self._log < 0:
            return ""
        return os.pread(self._log, 4096, 0).decode(errors="replace").strip()

    def _pipe(self) -> tuple[int, int]:
        ends = os.pipe2(os.O_CLOEXEC)
        self._pipes += ends
        return ends

    def _close_pipe(self, end: int) -> None:
        self._pipes.remove(end)
        os.close(end)

    async def tear_down(self) -> None:
        """End everything and prove it, however often this is cancelled meanwhile.

        Raises:
            Leaked: a process, a namespace, a mount, a control group or the stage is still there.
        """
        await to_the_end(self._end())

    async def _end(self) -> None:
        for part in reversed(self._parts):
            part.close()
        if self._child is not None:
            if self._init:
                # The kernel ends a pid namespace with its process 1, whatever the others ignore.
                with suppress(ProcessLookupError, TimeoutError):
                    os.kill(self._init, signal.SIGKILL)
                    # bubblewrap reaps it and follows; killed at once, it would leave that to the host.
                    async with asyncio.timeout(1):
                        await self._child.wait()
            self._child.close()
        for end in list(self._pipes):
            self._close_pipe(end)
        if self._log >= 0:
            os.close(self._log)
        await self._fence.lower()
        if self._stage is not None:
            with suppress(OSError):
                self._stage.rmdir()
        if self._held is not None:
            await self._held.release()


def _user_of_machines() -> tuple[int, int]:
    """Host uid and gid that a machine's user is: our own, or, as root, one that owns nothing."""
    if os.geteuid() != 0:
        return os.geteuid(), os.getegid()
    uid = FIRST_UID + secrets.randbelow(UIDS)
    return uid, uid


_BUBBLEWRAP = (
    "bwrap",
    *("--unshare-user", "--unshare-all", "--disable-userns", "--assert-userns-disabled"),
    *("--die-with-parent", "--new-session", "--as-pid-1", "--cap-drop", "ALL"),
    *("--uid", "1000", "--gid", "1000", "--hostname", HOSTNAME),
    *("--bind", "tree", "/"),
    *("--proc", "/proc", "--dev", "/dev"),
    *("--size", str(_SHARED_MEMORY_BYTES), "--tmpfs", "/dev/shm", "--remount-ro", "/dev"),  # noqa: S108  in the machine
    *("--size", str(_SESSION_BYTES), "--tmpfs", str(_SESSION)),
    *("--bind", "local", "/usr/local"),
    *("--clearenv", "--setenv", "PATH", "/usr/local/bin:/usr/bin:/bin"),
    *("--setenv", "HOME", str(HOME), "--setenv", "USER", "agent", "--setenv", "LOGNAME", "agent"),
    *("--setenv", "SHELL", "/bin/bash", "--setenv", "LANG", "C.UTF-8", "--setenv", "TERM", "dumb"),
    *("--chdir", str(HOME)),
)


@cache
def _script(name: str) -> str:
    return resources.files("environments.sandbox").joinpath(name).read_text()


def _skeleton(warden: Warden) -> Path:
    """Make the directory that the roots of a warden's machines are copied from; it goes with the warden."""
    if (known := _skeletons.get(warden)) is not None:
        return known
    root = Path(tempfile.gettempdir(), f"machines-{secrets.token_hex(6)}")
    warden.own(root)
    root.mkdir()
    lay_out(root, supervisor=_script("supervisor.bash"))
    _skeletons[warden] = root
    return root
