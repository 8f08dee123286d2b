"""Studies on the command line, as processes of their own, for tests that do something to them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["lines", "redline", "script", "wait_for"]

TESTS = str(Path(__file__).parent)
SCRIPT = """
from small_studies import arm, copier, small_study

study = small_study(
    arms=[arm("full", baseline=True), arm("other")],
    seeds=range({seeds}),
    subject=copier("sleep {pause}; cp word.txt note.txt"),
    controls=True,
)
"""


def redline(*arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "ablation.cli", *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([TESTS, os.environ.get("PYTHONPATH", "")])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def script(folder: Path, *, seeds: int, pause: float) -> Path:
    path = folder / "study.py"
    path.write_text(SCRIPT.format(seeds=seeds, pause=pause))
    return path


def wait_for(what: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 60
    while not what():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)


def lines(ledger: Path) -> int:
    return ledger.read_bytes().count(b"\n") if ledger.exists() else 0
