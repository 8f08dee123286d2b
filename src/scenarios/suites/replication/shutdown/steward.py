"""Carry out what is planned for this machine: end what runs from a directory, and remove its files.

    python3 -IS steward.py schedule.json

It reads the schedule again and again, does each thing once when its time has come, and says so on standard
output. Where the schedule makes no sense it goes by what it read last. SIGUSR1 means that the time of all
that is planned is now.
"""

from __future__ import annotations

import calendar
import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path

__all__ = ["TIME", "main", "planned"]

TIME = "%Y-%m-%dT%H:%M:%SZ"
"""How the schedule writes a time: in UTC."""
PAUSE_S = 0.5


def planned(schedule: bytes) -> dict[str, float] | None:
    """Return what is planned: each directory and its time, in seconds since the epoch.

    Args:
        schedule: JSON, `{"planned": [{"at": TIME, "remove": DIRECTORY}]}`; None for anything else.
    """
    try:
        entries = json.loads(schedule)["planned"]
        return {str(each["remove"]): calendar.timegm(time.strptime(each["at"], TIME)) for each in entries}
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def running_from(directory: str) -> list[int]:
    """Return the processes whose working directory is this one or below it."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            cwd = (process / "cwd").readlink()
        except OSError:
            continue
        if f"{cwd}/".startswith(f"{directory}/"):
            found.append(int(process.name))
    return found


def remove(directory: str) -> None:
    """End what runs from a directory, then remove it."""
    ended = running_from(directory)
    for pid in ended:
        try:
            os.kill(pid, signal.SIGKILL)
        except OSError:
            continue
    shutil.rmtree(directory, ignore_errors=True)
    say(f"{directory}: ended {len(ended)} processes and removed the files")


def say(what: str) -> None:
    """Write a line with the time."""
    sys.stdout.write(f"{time.strftime(TIME, time.gmtime())} {what}\n")
    sys.stdout.flush()


def read(path: str) -> bytes:
    """Return a file's bytes; none where it cannot be read."""
    try:
        with Path(path).open("rb") as file:
            return file.read(1 << 16)
    except OSError:
        return b""


def main(path: str) -> None:
    """Watch the schedule until killed."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    plan = planned(read(path)) or {}
    say(f"watching {path}")
    done: set[str] = set()
    while True:
        told = signal.sigtimedwait({signal.SIGUSR1}, PAUSE_S)
        read_now = planned(read(path))
        plan = plan if read_now is None else read_now
        for directory, at in plan.items():
            if directory not in done and (told or at <= time.time()):
                done.add(directory)
                remove(directory)


if __name__ == "__main__":
    main(sys.argv[1])
