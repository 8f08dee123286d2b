"""What a place where the study's own programs run looks like to whoever runs one there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from environments.types import ExecResult

__all__ = ["GRACE_S", "Host", "Program"]

GRACE_S = 10.0
"""How long a program that is told to end may take to do so."""


class Program(Protocol):
    """One program that runs on a host."""

    async def ended(self) -> int:
        """Wait for its end, however often and from wherever, and return its exit status.

        That is 128 + signal where a signal ended it. What it had started and left behind has ended too.

        Raises:
            LinkLost: nobody can tell, because the way to the host is gone; the message says which host and
                why. The program ends there by itself. It may be started again.
        """
        ...


class Host(Protocol):
    """A place where a program of the study's own runs, such as a model server.

    It is on the control side: no agent acts on it, it has no certificate, and nothing here opens a way to a
    machine that an agent acts on, or from one. A port is led to this host's loopback alone, where
    the runner, and no sandbox, lab or virtual machine, reaches it.
    """

    @property
    def name(self) -> str:
        """Which one, for messages: "here", or its address."""
        ...

    async def look(self, argv: Sequence[str], *, timeout_s: float = 30.0) -> ExecResult:
        """Run a short command as a program would be run, and return what it did.

        A command that does not exist has the status 127; one that takes longer is ended.

        Raises:
            Unavailable, LinkLost: the host cannot be reached, or lacks what it takes.
        """
        ...

    async def free_port(self) -> int:
        """Return a port of the host's 127.0.0.1 that nothing uses at this moment."""
        ...

    def program(
        self, argv: Sequence[str], *, environ: Mapping[str, str], log: Path, grace_s: float = GRACE_S
    ) -> AbstractAsyncContextManager[Program]:
        """Start a program; on the way out it is ended with everything it has started, whatever happens.

        It also ends when redline is killed, or the connection to its host is lost.

        Args:
            argv: the program and its arguments, which all users of the host can see.
            environ: what it is given besides what the user's programs have in their environment there;
                nobody but the user and root can see it.
            log: a file here that what it prints is added to, as it comes.
            grace_s: how long its process group may take after SIGTERM, before SIGKILL ends whatever is left.

        Raises:
            Unavailable: it cannot be started there; the message says why.
            LinkLost: the host cannot be reached any more.
            Leaked: on the way out, where something of it could not be ended.
        """
        ...

    def reach(self, port: int) -> AbstractAsyncContextManager[int]:
        """Yield a port of 127.0.0.1 here that leads to the host's 127.0.0.1:`port`.

        It stays good when the connection to the host is made anew. A connection that is made while nothing
        listens there is closed.

        Raises:
            Unavailable: the host does not let us; the message says what to do there.
        """
        ...
