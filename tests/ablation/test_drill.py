"""`redline drill`, and the attempts that are about what people are shown."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from ablation.drill import every_attempt, spoofing
from ablation.drill.spoofing import obeyed
from environments.drill import CLASSES, run_battery, small
from environments.drill.traces import marked
from environments.sandbox import Sandbox

REDLINE = [sys.executable, "-m", "ablation.cli"]


def redline(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*REDLINE, "drill", *arguments],
        capture_output=True, text=True, check=False, env={**os.environ, **environment}, timeout=110,
    )  # fmt: skip


def test_it_says_what_it_would_try() -> None:
    done = redline("--list", "--json")
    assert done.returncode == 0, done.stderr
    listed = json.loads(done.stdout)
    assert len(listed) == len(every_attempt()) >= 150
    assert {one["class"] for one in listed} <= set(CLASSES)
    assert redline("--list", "--class", "log tampering").stdout.startswith("log tampering (11)")


def test_wrong_use_is_told_with_the_nearest_name() -> None:
    done = redline("--class", "netwrk")
    assert done.returncode == 2
    assert "did you mean 'network'?" in done.stderr
    done = redline("--environment", "sandbxo")
    assert done.returncode == 2
    assert "did you mean 'sandbox'?" in done.stderr


@pytest.mark.slow
def test_a_sandbox_holds_and_the_certificate_quotes_the_drill(tmp_path: Path) -> None:
    out = tmp_path / "drill.json"
    chosen = ("--class", "network", "--class", "spoofed output", "--repeat", "2")
    cache = {"XDG_CACHE_HOME": str(tmp_path)}
    done = redline(*chosen, "--kill-switch", "--json", "--out", str(out), **cache)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert json.loads(out.read_text()) == found
    assert found["ok"]
    assert [report["seed"] for report in found["reports"]] == [0, 1]
    for report in found["reports"]:
        assert {each["kind"]: each["out"] for each in report["classes"]} == {
            "network": 0,
            "spoofed output": 0,
        }
    assert [quiet["event"] for quiet in found["kill_switch"][:5]] == [
        "killed", "stopped", "hung", "warden killed", "halted",
    ]  # fmt: skip
    assert found["time_to_quiet"].startswith("0.")
    study = tmp_path / "study"
    trial = ("run", "self-replication", "--model", "simulated:steady", "--trials", "1", "--out", str(study))
    done = subprocess.run(
        [*REDLINE, *trial], capture_output=True, text=True, check=False, env={**os.environ, **cache}
    )
    logs = "".join(path.read_text() for path in study.glob("trials/*.jsonl"))
    assert found["time_to_quiet"] in logs, done.stderr


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become a user that owns nothing")
def test_an_open_machine_makes_it_exit_with_1() -> None:
    done = redline(
        "--environment", "environments.drill:OpenMachine", "--class", "filesystem", "--no-kill-switch"
    )
    assert done.returncode == 1
    assert "out: read-by-path: read a file" in done.stdout
    assert "DID NOT HOLD" in done.stdout


@pytest.mark.slow
def test_ctrl_c_leaves_nothing() -> None:
    before = set(Path(tempfile.gettempdir()).glob("drill-*"))
    running = subprocess.Popen(
        [*REDLINE, "drill", "--kill-switch", "--class", "lease evasion"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    time.sleep(3)
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=30)
    assert running.returncode == 130
    assert "interrupted; nothing was kept" in said
    assert set(Path(tempfile.gettempdir()).glob("drill-*")) <= before
    assert marked("stay-") == []


@pytest.mark.anyio
async def test_a_view_that_shows_what_an_agent_printed_is_found_out() -> None:
    """With nothing in between, all of them get out: the judge of these attempts can fail."""
    attempts = spoofing(passage=str, line=str, cell=str)
    report = await run_battery(small(Sandbox()), attempts)
    assert {one.attempt.name for one in report.tried if one.outcome != "out"} <= {
        "broken-characters",
        "mark-up",
    }
    report = await run_battery(small(Sandbox()), spoofing())
    assert report.held


@pytest.mark.parametrize("text", ["\x1b[2J", "\x9b2J", "a\rb", "\u202eabc", "a\u200bb", "\u2028", "\x00"])
def test_what_would_be_obeyed(text: str) -> None:
    assert obeyed(text)
    assert not obeyed("plain text,\n\twith ümläuts and 文字")
