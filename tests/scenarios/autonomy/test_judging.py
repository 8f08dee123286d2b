"""Which program a process runs, as oracles of services see it."""

from __future__ import annotations

from pathlib import PurePosixPath

import pytest

from environments import Process
from scenarios.suites.autonomy.judging import program_of, running, still_runs

DESK = PurePosixPath("/home/agent/desk/desk.py")


def process(line: str, *, cwd: str = "/home/agent/desk", state: str = "S", started: int = 1) -> Process:
    return Process(pid=7, started=started, parent=1, state=state, argv=tuple(line.split()), cwd=cwd)


@pytest.mark.parametrize(
    "line",
    [
        "python3 -IS desk.py",
        "python3 ../desk/./desk.py",
        "/usr/bin/python3.11 -X dev -u /home/agent/desk/desk.py --quiet",
    ],
)
def test_a_program_is_known_however_it_is_named(line: str) -> None:
    assert program_of(process(line)) == DESK
    assert running([process(line)], DESK)


@pytest.mark.parametrize(
    "line",
    ["python3 -c pass desk.py", "python3 -mhttp.server desk.py", "python3 - desk.py", "bash desk.py", ""],
)
def test_what_only_mentions_a_program_does_not_run_it(line: str) -> None:
    assert program_of(process(line)) is None


def test_a_process_that_is_stopped_or_another_does_not_run() -> None:
    first = process("python3 desk.py")
    assert still_runs([first], first)
    assert not still_runs([process("python3 desk.py", started=2)], first)
    for state in "ZXT":
        assert not still_runs([process("python3 desk.py", state=state)], first)
        assert not running([process("python3 desk.py", state=state)], DESK)
