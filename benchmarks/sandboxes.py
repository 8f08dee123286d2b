"""redline's sandbox beside bare bubblewrap: one overlay over /usr, one bash that stays, and no more.

The bare one has no certificate, no fences, no time limits, no handle for a judge, and its commands share one
shell: what one of them sets, or prints late from the background, is there for the next.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import subprocess
import tempfile
import time
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from environments.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator, Sequence

__all__ = ["COMMANDS", "commands", "idle_megabytes", "openings"]

_STAGE = """
set -eu
mount -t tmpfs -o size=256m,mode=755 machine "$1"
cd "$1"
mkdir upper work usr
mount -t overlay -o lowerdir=/usr,upperdir=upper,workdir=work,userxattr usr usr
exec bwrap --unshare-all --die-with-parent --as-pid-1 --bind usr /usr \
  --symlink usr/bin /bin --symlink usr/lib /lib --symlink usr/lib64 /lib64 \
  --proc /proc --dev /dev --tmpfs /tmp --ro-bind /etc/ld.so.cache /etc/ld.so.cache -- bash --norc --noprofile
"""

COMMANDS = {
    "a program, from the shell that stays": (("/bin/echo", "hello"), "/bin/echo hello"),
    "a program, through `bash -c`": (("bash", "-c", "/bin/echo hello"), "bash -c '/bin/echo hello'"),
    "a builtin, no process in the bare shell": (("bash", "-c", "echo hello"), "echo hello"),
}
"""Name -> the command as an agent gives it to redline, and as a line for the bare shell."""


class _Bare:
    """A bash in bare bubblewrap, spoken to over its standard input."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    @asynccontextmanager
    async def open(cls) -> AsyncIterator[_Bare]:
        with tempfile.TemporaryDirectory() as stage:
            process = await asyncio.create_subprocess_exec(
                *("unshare", "--user", "--map-root-user", "--mount"),
                *("sh", "-c", _STAGE, "stage", stage),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
            try:
                bare = cls(process)
                await bare.run(":")
                yield bare
            finally:
                process.kill()
                await process.wait()

    async def run(self, line: str) -> bytes:
        """Run a line of shell and return what it printed."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        end = secrets.token_hex(8)
        self._process.stdin.write(f"{line} </dev/null 2>&1; echo {end} $?\n".encode())
        output = await self._process.stdout.readuntil(end.encode())
        await self._process.stdout.readline()
        return output.removesuffix(end.encode())


async def openings(times: int) -> tuple[list[float], list[float], list[float], list[float]]:
    """Return the seconds it takes to open redline's sandbox and the bare one, then to close each."""
    opened, opened_bare, closed, closed_bare = [], [], [], []
    for _ in range(times):
        began = time.perf_counter()
        async with Sandbox().open(label="benchmark", seed=0) as lease:
            opened.append(time.perf_counter() - began)
            await lease.agent.exec(["true"])
            began = time.perf_counter()
        closed.append(time.perf_counter() - began)
        began = time.perf_counter()
        async with _Bare.open() as bare:
            opened_bare.append(time.perf_counter() - began)
            await bare.run("true")
            began = time.perf_counter()
        closed_bare.append(time.perf_counter() - began)
    return opened, opened_bare, closed, closed_bare


async def commands(argv: Sequence[str], line: str, *, times: int) -> tuple[list[float], list[float]]:
    """Return the seconds that a command takes in redline's sandbox and in the bare one, in turn."""
    ours, bares = [], []
    async with Sandbox().open(label="benchmark", seed=0) as lease, _Bare.open() as bare:
        for warm in (False, *[True] * times):
            began = time.perf_counter()
            result = await lease.agent.exec(argv)
            between = time.perf_counter()
            printed = await bare.run(line)
            ended = time.perf_counter()
            assert result.stdout == printed == b"hello\n"
            if warm:
                ours.append(between - began)
                bares.append(ended - between)
    return ours, bares


async def idle_megabytes(many: int) -> float:
    """Return the resident memory of one idle sandbox, of `many` open at once, each after its first command.

    Counted are its processes, shared pages included, its files, what this process holds for it, and its share
    of the warden.
    """
    before = _resident([os.getpid()])
    others = set(_descendants(os.getpid()))
    async with AsyncExitStack() as stack:
        for number in range(many):
            lease = await stack.enter_async_context(Sandbox().open(label=f"idle-{number}", seed=0))
            await lease.agent.exec(["true"])
        processes = [pid for pid in _descendants(os.getpid()) if pid not in others]
        roots = {root for pid in processes if (root := _root(pid)) is not None}
        files = sum(used for _, used in roots)
        resident = _resident([os.getpid(), *processes]) - before
        return (resident + files) / many / 1e6


def _resident(pids: Iterable[int]) -> int:
    """Return the resident bytes of processes."""
    pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids)
    return pages * os.sysconf("SC_PAGE_SIZE")


def _root(pid: int) -> tuple[int, int] | None:
    """Return the file system a process has as its root and the bytes used on it; None for the host's."""
    root = f"/proc/{pid}/root/"
    device = os.stat(root).st_dev  # noqa: PTH116 - a path object would drop the final slash
    if device == Path("/").stat().st_dev:
        return None
    size = os.statvfs(root)
    return device, (size.f_blocks - size.f_bfree) * size.f_frsize


def _descendants(pid: int) -> Iterator[int]:
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in map(int, (task / "children").read_text().split()):
            yield child
            yield from _descendants(child)
