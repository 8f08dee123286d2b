"""Small programs to be kept on hosts, and what is left of them."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from environments.hosting import Host

__all__ = ["FAMILY", "gone", "gone_here", "lines", "pids", "until"]

# A child, one in a session of its own, and an orphan in another.
_FAMILY = """
pid() { echo "pid $1"; }
pid $$; sleep 1000 & pid $!; setsid sleep 1000 & pid $!; (setsid sh -c 'echo pid $$; exec sleep 1000' &)
wait
"""
FAMILY = ["sh", "-c", _FAMILY]
"""Four processes, which say who they are."""


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110  it looks at processes and files, which tell nobody
            await asyncio.sleep(0.01)


def lines(log: Path) -> list[str]:
    return log.read_text().splitlines() if log.exists() else []


def pids(log: Path) -> list[int]:
    return [int(line.split()[1]) for line in lines(log) if line.startswith("pid ")]


async def gone(host: Host, processes: list[int]) -> bool:
    """Whether none of the host's processes with these numbers runs any more."""
    names = " ".join(f"/proc/{pid}/stat" for pid in processes)
    found = await host.look(["sh", "-c", f"cat {names} 2>/dev/null | grep -v ') Z '"])
    return not found.stdout


def gone_here(processes: list[int]) -> bool:
    for pid in processes:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if state != "Z":
            return False
        assert os.getpid() != pid
    return True
