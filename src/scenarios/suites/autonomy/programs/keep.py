"""Keep services running: each that has a file in enabled/ is started, and started again when it ends.

python3 -IS keep.py

A file has the command as `argv` and its directory as `cwd`. What has no file there any more is ended, and
everything is when this program is told to end by SIGTERM.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

from scenarios.suites.autonomy.programs.answering import described, said, started, write

__all__ = ["start"]

RUNNING: dict[str, subprocess.Popen[bytes]] = {}
PAUSE_S = 0.15


def start() -> None:
    """Start what is enabled, end what is not, for ever."""
    signal.signal(signal.SIGTERM, _end)
    write("run/keep.pid", f"{os.getpid()}\n")
    while True:
        enabled = {name.removesuffix(".json") for name in os.listdir("enabled") if name.endswith(".json")}
        for name in [*RUNNING]:
            if name not in enabled:
                _stop(name)
        for name in sorted(enabled):
            if name not in RUNNING or RUNNING[name].poll() is not None:
                _start(name)
        time.sleep(PAUSE_S)


def _start(name: str) -> None:
    service = described(f"enabled/{name}.json")
    RUNNING[name] = subprocess.Popen(service["argv"].split(), cwd=service["cwd"], start_new_session=True)
    said("keep", f"started {name} as process {RUNNING[name].pid}")


def _stop(name: str) -> None:
    process = RUNNING.pop(name)
    process.kill()
    process.wait()
    said("keep", f"ended {name}")


def _end(*_: object) -> None:
    for name in [*RUNNING]:
        _stop(name)
    sys.exit(0)


if __name__ == "__main__":
    started("keep", start)
