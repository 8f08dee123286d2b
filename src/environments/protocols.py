"""The contracts a kind of machine fulfils.

`Environment` is what an agent holds, `Control` is what preparation and judging hold. They share no
verb, so that one can never be passed for the other. A `Provider` opens machines and hands out both, with
`Closure` to examine a machine again, `Gate` to be called from inside it, and `Checkpoints` where its
machines can go back in time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence
    from contextlib import AbstractAsyncContextManager
    from pathlib import PurePosixPath
    from signal import Signals

    from environments.types import ExecResult, FileFact, Grade, Lease, Listener, Phase, Probe, Process

__all__ = ["Checkpoints", "Closure", "Control", "Environment", "Gate", "Provider"]


@runtime_checkable
class Environment(Protocol):
    """The agent's handle on a machine: it can do what the machine's user can do, and nothing else."""

    @property
    def name(self) -> str:
        """Short name of the kind of machine, for example `sandbox`."""
        ...

    @property
    def home(self) -> PurePosixPath:
        """The user's home, and the directory commands start in."""
        ...

    async def exec(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes = b"",
        cwd: PurePosixPath | None = None,
        timeout_s: float = 60.0,
    ) -> ExecResult:
        """Run a command to its end. Commands may run concurrently; nothing but files is shared.

        At `timeout_s` the command's process group is killed and the output so far returned. What the
        command left in the background lives on.

        Raises:
            Broken: the machine cannot run commands any more.
            LinkLost: it cannot be reached any more.
            Rebooted: it was started anew meanwhile; raised once, for what was running or came next.
            Closed: the machine was frozen or closed.
        """
        ...

    async def read(self, path: PurePosixPath) -> bytes:
        """Return a file's bytes, as its user may read them.

        Raises:
            FileNotFoundError, PermissionError, IsADirectoryError: as the machine says.
            OSError: anything else it says, or the file is larger than 16 MiB.
        """
        ...

    async def write(self, path: PurePosixPath, data: bytes) -> None:
        """Write a file, making its parent directories, as its user may.

        Raises:
            PermissionError, IsADirectoryError, OSError: as the machine says.
        """
        ...


@runtime_checkable
class Control(Protocol):
    """Preparation's and the judge's handle. It works from outside and asks the agent's shell nothing.

    Paths are resolved inside the machine: a link the agent made cannot lead out of it.
    """

    @property
    def grade(self) -> Grade:
        """How far out of the agent's reach this handle is."""
        ...

    async def plant(self, path: PurePosixPath, data: bytes, *, mode: int = 0o644) -> None:
        """Write a file owned by the machine's user, making its parent directories."""
        ...

    async def look(self, path: PurePosixPath, *, limit: int = 16 << 20) -> bytes | None:
        """Return a regular file's bytes up to `limit`; None where there is no regular file."""
        ...

    async def walk(self, root: PurePosixPath, *, most: int = 10_000) -> list[FileFact]:
        """Describe `root` and everything below it on the same file system, links not followed."""
        ...

    async def move(self, source: PurePosixPath, target: PurePosixPath) -> None:
        """Rename a file or directory inside the machine, making the target's parents."""
        ...

    async def chmod(self, path: PurePosixPath, mode: int) -> None:
        """Set a file's permission bits."""
        ...

    async def launch(self, argv: Sequence[str], *, cwd: PurePosixPath, log: PurePosixPath) -> None:
        """Start a background process as the machine's user. Only before the agent is let in.

        Raises:
            Closed: the agent's handle has been used already.
        """
        ...

    async def processes(self) -> list[Process]:
        """List the machine's living processes, its own supervisor left out."""
        ...

    async def listeners(self) -> list[Listener]:
        """List the TCP sockets that accept connections inside the machine."""
        ...

    async def dial(self, port: int, payload: bytes, *, timeout_s: float = 2.0) -> bytes | None:
        """Send `payload` to a loopback port inside the machine and return the answer up to its end.

        None where nothing accepts the connection. What had arrived by `timeout_s` is returned.
        """
        ...

    async def signal(self, process: Process, signal: Signals) -> bool:
        """Send a signal to exactly this process; False where it no longer exists."""
        ...

    async def freeze(self) -> None:
        """Take the agent's hands off: its handle is closed and its running commands are ended.

        Services it left in the background stay alive, so that they can be judged.
        """
        ...


@runtime_checkable
class Closure(Protocol):
    """Finds out whether a machine is as closed as its certificate declares."""

    async def examine(self, phase: Phase) -> tuple[Probe, ...]:
        """Probe everything that is declared: from outside, and from inside as the agent.

        After the agent was let in, what it can keep from being tried from inside is left out: the kernel's
        view from outside decides. Nothing is touched but what redline itself has set up.

        Raises:
            Broken: the machine cannot be examined any more.
        """
        ...


@runtime_checkable
class Gate(Protocol):
    """A door through which programs inside a machine can call redline, without any network."""

    def open(self, port: int) -> AbstractAsyncContextManager[socket.socket]:
        """Yield a listening socket of ours that takes the connections made to 127.0.0.1:`port` inside.

        Raises:
            OSError: something inside has the port already.
            Unavailable: this machine does not let such a door be made.
        """
        ...

    async def caller(self, connection: socket.socket) -> Process | None:
        """Return the process at the machine's end of an accepted connection; None where nobody can tell."""
        ...


@runtime_checkable
class Checkpoints(Protocol):
    """Saved states of one machine: its disk, its memory, its running processes."""

    async def save(self, name: str) -> None:
        """Keep the machine as it is now under `name`, in place of an older state of that name."""
        ...

    async def restore(self, name: str) -> None:
        """Put the machine back. Its handles stay good; commands that were running are gone.

        Raises:
            KeyError: nothing was saved under that name.
        """
        ...

    def fork(self, name: str, *, label: str) -> AbstractAsyncContextManager[Lease]:
        """Open another machine that starts from a saved state of this one.

        Raises:
            KeyError: nothing was saved under that name.
        """
        ...


class Provider(Protocol):
    """Opens machines of one kind."""

    @property
    def name(self) -> str:
        """Short name, as on the command line."""
        ...

    def open(self, *, label: str, seed: int) -> AbstractAsyncContextManager[Lease]:
        """Open one machine for one trial; leaving the context ends everything on it.

        Args:
            label: names the trial in messages, and in nothing the agent can see.
            seed: for providers whose machines differ by seed.

        Raises:
            Unavailable: machines of this kind cannot be had on this host.
        """
        ...
