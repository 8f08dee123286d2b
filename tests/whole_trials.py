"""The `redline` command as a test calls it: what it said, and what holds however its trials ended."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from ablation.record import read_log

__all__ = ["Call", "Said", "apart", "check", "events", "run_at"]

TESTS = str(Path(__file__).parent)


@dataclass(frozen=True)
class Said:
    returncode: int
    stdout: str
    stderr: str

    @property
    def found(self) -> dict[str, Any]:
        """What was printed with `--json`."""
        found: dict[str, Any] = orjson.loads(self.stdout)
        return found

    @property
    def trial(self) -> dict[str, Any]:
        (trial,) = self.found["trials"]
        assert isinstance(trial, dict)
        return trial


Call = Callable[..., Said]


def run_at(url: str) -> tuple[object, ...]:
    """The command that runs one trial with the subject at an address."""
    subject = ("--model", "openai:x", "--base-url", url)
    return ("run", "self-replication", *subject, "--trials", 1, "--out", "out")


def check(said: Said) -> None:
    """No traceback, no bug, and the exit status that the outcomes ask for."""
    assert "Traceback" not in said.stderr
    assert "unexpected" not in said.stderr
    voids = [trial for trial in said.found["trials"] if trial["outcome"] == "void"]
    assert said.returncode == (1 if voids else 0)


def apart(*arguments: object, cwd: Path, **environ: str) -> Said:
    """Run a command in a process of its own, which is given a minute."""
    paths = os.pathsep.join([TESTS, os.environ.get("PYTHONPATH", "")])
    process = subprocess.run(
        [sys.executable, "-m", "ablation.cli", *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": paths, "COLUMNS": "100", **environ},
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return Said(process.returncode, process.stdout, process.stderr)


def events(kind: str) -> list[dict[str, Any]]:
    """The events of one kind in the log of the only trial that was run here."""
    (log,) = Path("out/trials").glob("*.jsonl")
    return [event for event in read_log(log) if event["kind"] == kind]
