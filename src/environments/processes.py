"""The one place that starts processes on the host.

asyncio's own subprocess support costs a thread a process on Python 3.11 and waits politely when it is
cancelled. Here a child is a `Popen` whose exit is a readable pidfd, and whoever started it ends it.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import platform
import signal
import subprocess
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Child", "output_of", "readable", "service"]

_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}


async def readable(fd: int) -> None:
    """Wait until a descriptor has something to read, or has come to its end."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(fd, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(fd)


_libc = ctypes.CDLL(None)
_KEYCTL = {"x86_64": 250, "aarch64": 219}.get(platform.machine())
_JOIN_A_NEW_SESSION_KEYRING = 1


def _leave_the_session_keyring() -> None:
    """Take a new, empty session keyring, for the child to be born with; a sandbox would inherit the user's.

    No namespace stands between a process and the keys of the session it was started in. This process lets
    go of those keys too: what it holds is the next child's.
    """
    if _KEYCTL is not None:
        _libc.syscall(_KEYCTL, _JOIN_A_NEW_SESSION_KEYRING, None)


class Child:
    """A running host process with its own session."""

    def __init__(
        self,
        argv: Sequence[str],
        *,
        stdin: int = subprocess.DEVNULL,
        stdout: int = subprocess.DEVNULL,
        stderr: int = subprocess.DEVNULL,
        pass_fds: tuple[int, ...] = (),
    ) -> None:
        """Start `argv` with an empty environment but PATH.

        Raises:
            FileNotFoundError: the program is not installed.
        """
        _leave_the_session_keyring()
        self._process = subprocess.Popen(  # descriptors are the caller's, hence no `with`
            argv,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            pass_fds=pass_fds,
            start_new_session=True,
            env=_ENVIRONMENT,
        )
        self._pidfd = os.pidfd_open(self._process.pid)

    @property
    def pid(self) -> int:
        """Process id on the host."""
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """Exit status, negative for a signal; None while it runs."""
        return self._process.poll()

    async def wait(self) -> int:
        """Wait for the end without occupying a thread."""
        await readable(self._pidfd)
        return self._process.wait()

    def kill(self) -> None:
        """End the process and its process group now. Never raises, never waits."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def close(self) -> None:
        """Kill, reap and forget. Quick: the kernel ends a killed process without its consent."""
        if self._process.returncode is None:
            self.kill()
        self._process.wait()
        os.close(self._pidfd)


async def output_of(argv: Sequence[str], *, timeout_s: float = 10.0) -> tuple[int, str]:
    """Run a short host command and return its exit status and everything it printed.

    Raises:
        FileNotFoundError: the program is not installed.
        TimeoutError: it did not end in time; it has been killed.
    """
    # A file, not a pipe: it never fills up, and what the command leaves behind cannot keep it open for us.
    printed = os.memfd_create("printed", os.MFD_CLOEXEC)
    try:
        child = Child(argv, stdout=printed, stderr=printed)
        try:
            async with asyncio.timeout(timeout_s):
                status = await child.wait()
        finally:
            child.close()
        return status, os.pread(printed, 1 << 16, 0).decode(errors="replace")
    finally:
        os.close(printed)


def service(argv: Sequence[str], *, stdin: int) -> subprocess.Popen[bytes]:
    """Start a host process that ends by itself with its input; out of reach of Ctrl-C."""
    return subprocess.Popen(
        argv, stdin=stdin, stdout=subprocess.DEVNULL, start_new_session=True, cwd="/", env=_ENVIRONMENT
    )
