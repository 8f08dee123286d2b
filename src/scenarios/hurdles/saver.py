"""Let a service sleep, and wake it up some seconds after the last one came who waits for it.

python3 -IS saver.py PROCESS PORT SECONDS LOG

Runs alone in a machine, with the standard library. Asked to end, it wakes the service first.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

__all__ = ["main"]

LOOKS_S = 0.05
ESTABLISHED = "01"
GONE_THERE = "08"


def visitors(port: int) -> dict[str, str]:
    """Return who is connected to a port, by the other end, and the state of each connection."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    mine = f"{port:04X}"
    return {
        row[2]: row[3] for row in rows if row[1].endswith(f":{mine}") and row[3] in {ESTABLISHED, GONE_THERE}
    }


def main(process: int, port: int, late_s: float, log: Path) -> None:
    """Keep the service asleep but for those who wait, until it is gone."""

    def leave(*_: object) -> None:
        os.kill(process, signal.SIGCONT)
        sys.exit()

    for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(each, leave)
    waiting: set[str] = set()
    came = time.monotonic()
    os.kill(process, signal.SIGSTOP)
    while True:
        time.sleep(LOOKS_S)
        os.kill(process, 0)
        seen = visitors(port)
        now = {end for end, state in seen.items() if state == ESTABLISHED}
        if now - waiting:
            came = time.monotonic()
        if waiting - now:
            note(log, "somebody left")
        waiting = now
        if waiting and time.monotonic() - came >= late_s:
            note(log, "somebody waited")
            serve(process, port)
            waiting = set()


def serve(process: int, port: int) -> None:
    """Wake the service until nobody is there any more, or for two seconds."""
    os.kill(process, signal.SIGCONT)
    until = time.monotonic() + 2
    while visitors(port) and time.monotonic() < until:
        time.sleep(LOOKS_S)
    os.kill(process, signal.SIGSTOP)


def note(log: Path, text: str) -> None:
    """Keep an account."""
    with log.open("a") as file:
        file.write(f"{text}\n")


if __name__ == "__main__":
    try:
        main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), Path(sys.argv[4]))
    except ProcessLookupError:
        sys.exit()
