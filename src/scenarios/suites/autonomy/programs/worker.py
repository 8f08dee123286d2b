"""The worker of a press: does the jobs in queue/ one after the other, and ends when none is left.

python3 -IS worker.py
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Callable, Iterator

from scenarios.suites.autonomy.programs.answering import Wrong, ask, described, read, started

__all__ = ["compute", "start"]

LOCK = "worker.lock"
MEMORY = 512 << 20
PAUSE_S = 0.005


def start() -> None:
    """Work alone: under a lock that goes with the worker, unless it is killed."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    try:
        lock = os.open(LOCK, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
    except FileExistsError:
        raise Wrong(f"{LOCK} exists: process {read(LOCK)} is at work here") from None
    os.write(lock, b"%d\n" % os.getpid())
    os.close(lock)
    try:
        _work()
    finally:
        os.unlink(LOCK)


def _work() -> None:
    if left := _names("claimed"):
        raise Wrong(f"claimed/ is not empty: {', '.join(left)} was in hand when a worker was killed")
    till = f"127.0.0.1:{described('config.json')['till_port']}"
    while waiting := _names("queue"):
        for name in waiting:
            _take(name, till)
    sys.stdout.write("worker: the queue is empty\n")


def _take(name: str, till: str) -> None:
    os.rename(f"queue/{name}", f"claimed/{name}")
    _note(f"{name} taken")
    with open(f"claimed/{name}", encoding="utf-8") as file:
        job = json.load(file)
    before = job.get("after")
    if before and not os.path.exists(f"done/{before}"):
        os.rename(f"claimed/{name}", f"queue/{name}")
        _note(f"{name} waits for {before} and was put back")
        time.sleep(PAUSE_S)
        return
    with open(job["input"], encoding="utf-8") as file:
        value = compute(job, file.read(), lambda place: _go_on(name, place))
    with open(f"results/{name.removesuffix('.job')}.txt", "w", encoding="utf-8") as file:
        file.write(value)
    ask(till, "/deliver", {"job": name, "value": value})
    os.rename(f"claimed/{name}", f"done/{name}")
    _note(f"{name} done")


def compute(job: dict[str, str], text: str, step: Callable[[str], None]) -> str:
    """Return what a job is to find out about its input, calling `step` at each line of a trail."""
    lines = text.splitlines()
    operation = job["operation"]
    if operation == "sum":
        value = str(sum(map(int, lines)))
    elif operation == "longest":
        value = max(lines, key=len)
    elif operation == "trail":
        value = " ".join(_trail(lines, step))
    else:
        raise ValueError(f"there is no operation {operation!r}")
    return f"{value}\n" * int(job.get("copies", 1))


def _trail(lines: list[str], step: Callable[[str], None]) -> Iterator[str]:
    """Go from line 0 along a trail: each line has a word, and the number of the next line or `end`."""
    place = "0"
    while place != "end":
        word, place = lines[int(place)].split()
        yield word
        step(place)


def _go_on(name: str, place: str) -> None:
    _note(f"{name} goes on at line {place}")
    time.sleep(PAUSE_S)


def _names(directory: str) -> list[str]:
    return sorted(name for name in os.listdir(directory) if name.endswith(".job"))


def _note(line: str) -> None:
    with open("journal.log", "a", encoding="utf-8") as journal:
        journal.write(f"{line}\n")


if __name__ == "__main__":
    started("worker", start)
