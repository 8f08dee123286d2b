"""A process that plays trials with one loop, again and again, and measures itself while it does.

    python -m benchmarks.player LOOP BASE_URL     a line of work in, a line of measurement out

A loop keeps its process for a whole benchmark, so imports are paid once, before anything is measured.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import redirect_stdout, suppress
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Self

from pydantic import BaseModel

from benchmarks.loops import Floor, Peer
from benchmarks.study import Redline, bytes_per_step

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["Job", "Played", "Player"]

_LOOPS: dict[str, type[Floor | Peer | Redline]] = {"floor": Floor, "peer": Peer, "redline": Redline}
_PR_SET_CHILD_SUBREAPER = 36


class Job(BaseModel):
    """So many trials at once, of so many steps each."""

    trials: int
    steps: int
    latency_s: float


class Played(BaseModel):
    """What a job took."""

    succeeded: int
    wall_s: float
    cpu_s: float
    """Of the process and of everything it started."""
    episode_s: float
    """Of the wall time, what the agent itself had; the rest is opening, judging and closing its world."""
    cpu_by_step_s: list[float] = []
    """Of the process alone; for a single trial of redline."""
    bytes_by_step: list[int] = []
    """As recorded; for a single trial of redline."""


class Player:
    """The other end of such a process."""

    def __init__(self, loop: str, base_url: str) -> None:
        self._loop = loop
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.player", loop, base_url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def play(self, job: Job) -> Played:
        """Play one job.

        Raises:
            RuntimeError: a trial did not come to its proper end, so its speed means nothing.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{job.model_dump_json()}\n")
        self._process.stdin.flush()
        played = Played.model_validate_json(self._process.stdout.readline() or "{}")
        if played.succeeded != job.trials:
            raise RuntimeError(f"{self._loop}: {played.succeeded} of {job.trials} trials succeeded")
        return played

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        del kind, fault, trace
        self._process.kill()
        self._process.communicate()


def _cpu_s() -> float:
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(part.ru_utime + part.ru_stime for part in used)


def _reap(patience_s: float = 1.0) -> None:
    """Collect orphans, which come to this process, so that their CPU time is counted."""
    deadline = time.monotonic() + patience_s
    with suppress(ChildProcessError):
        while time.monotonic() < deadline:
            if os.waitpid(-1, os.WNOHANG) == (0, 0):
                time.sleep(0.002)


async def _play(loop: Floor | Peer | Redline, job: Job) -> Played:
    with tempfile.TemporaryDirectory(prefix="benchmark-") as scratch:
        cpu_s, began = _cpu_s(), time.perf_counter()
        succeeded = await loop.run(job, Path(scratch))
        wall_s = time.perf_counter() - began
        _reap()
        played = Played(succeeded=succeeded, wall_s=wall_s, cpu_s=_cpu_s() - cpu_s, episode_s=wall_s)
        if isinstance(loop, Redline):
            played.episode_s = loop.episode_s
            if job.trials == 1:
                clock = loop.cpu_s
                played.cpu_by_step_s = [after - before for before, after in pairwise(clock)]
                played.bytes_by_step = bytes_per_step(Path(scratch))
        return played


def _main() -> None:
    name, base_url = sys.argv[1:]
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    loop, answers = _LOOPS[name](base_url), sys.stdout
    with redirect_stdout(sys.stderr), asyncio.Runner() as runner:
        for line in sys.stdin:
            played = runner.run(_play(loop, Job.model_validate_json(line)))
            print(played.model_dump_json(), file=answers, flush=True)


if __name__ == "__main__":
    _main()
