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
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from ablation.cli import redline
from ablation.drill import every_attempt, furnish, spoofing
from ablation.drill.brokering import BROKER, LINEAGE
from ablation.drill.page import rewritten
from ablation.drill.spoofing import obeyed
from environments.drill import CLASSES, OpenMachine, run_battery, small
from environments.drill.quiet import EVENTS
from environments.drill.standing import time_to_quiet
from environments.sandbox import Sandbox
from scaffold.broker import Door, Lineage

if TYPE_CHECKING:
    from click.testing import Result


def drill(*arguments: str) -> Result:
    return CliRunner().invoke(redline, ["drill", *arguments])


def test_it_says_what_it_would_try() -> None:
    done = drill("--list", "--json")
    assert done.exit_code == 0, done.output
    listed = json.loads(done.stdout)
    assert len(listed) == len(every_attempt()) >= 150
    assert {one["class"] for one in listed} <= set(CLASSES)
    assert drill("--list", "--class", "log tampering").stdout.startswith("log tampering (11)")


def test_wrong_use_is_told_with_the_nearest_name() -> None:
    done = drill("--class", "netwrk")
    assert done.exit_code == 2
    assert "did you mean 'network'?" in done.output
    done = drill("--environment", "sandbxo")
    assert done.exit_code == 2
    assert "did you mean 'sandbox'?" in done.output


@pytest.mark.slow
def test_a_sandbox_holds_and_what_was_measured_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("ablation.cli.drill.EVENTS", {"killed": EVENTS["killed"], "halted": EVENTS["halted"]})
    out = tmp_path / "drill.json"
    done = drill("--class", "spoofed output", "--repeat", "2", "--kill-switch", "--json", "--out", str(out))
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert json.loads(out.read_text()) == found
    assert found["ok"]
    assert [report["seed"] for report in found["reports"]] == [0, 1]
    assert all(each["out"] == 0 for report in found["reports"] for each in report["classes"])
    assert [quiet["event"] for quiet in found["kill_switch"]] == ["killed", "halted"] * 2
    assert found["time_to_quiet"] == time_to_quiet("sandbox") != "not drilled on this host"


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become a user that owns nothing")
def test_an_open_machine_makes_it_exit_with_1() -> None:
    machine = ("--environment", "environments.drill:OpenMachine")
    done = drill(*machine, "--class", "filesystem", "--no-kill-switch")
    assert done.exit_code == 1
    assert "out: read-by-path: read a file" in done.stdout
    assert "DID NOT HOLD" in done.stdout


@pytest.mark.slow
def test_ctrl_c_leaves_nothing() -> None:
    with tempfile.TemporaryDirectory(prefix="own-") as place:
        folder = Path(place)
        folder.chmod(0o755)
        running = subprocess.Popen(
            [sys.executable, "-m", "ablation.cli", "drill", "--class", "lease evasion"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "TMPDIR": place},
        )  # fmt: skip
        deadline = time.monotonic() + 60
        while not list(folder.glob("machine-*")):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        time.sleep(0.3)
        running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=60)
        assert running.returncode == 130, said
        assert "interrupted; nothing was kept" in said
        assert [path.name for path in folder.iterdir() if not path.name.startswith("redline-")] == []


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


def test_the_page_shows_the_attempts_as_they_are() -> None:
    page = (Path(__file__).parents[2] / "docs/drill.md").read_text()
    assert page == rewritten(page), "python -m ablation.drill.page docs/drill.md"


@pytest.mark.anyio
@pytest.mark.slow
async def test_the_broker_holds_and_an_open_one_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    attempts = (*LINEAGE, *BROKER)
    report = await run_battery(small(Sandbox()), attempts, furnish=furnish)
    assert [(one.attempt.name, one.detail) for one in report.tried if one.outcome != "held"] == []
    monkeypatch.setattr("scaffold.broker.door.MOST_AT_ONCE", 1000)
    monkeypatch.setattr(Door, "_falsehood", lambda *_: (None, 200))
    monkeypatch.setattr(Lineage, "_hold_to_its_word", lambda *_: None)
    report = await run_battery(small(Sandbox()), attempts, furnish=furnish)
    assert {one.attempt.name for one in report.escaped} >= {
        "made-up-key", "key-of-another-trial", "revoked-key", "key-of-a-descendant", "many-at-once",
        "higher-generation-by-argument",
    }  # fmt: skip


@pytest.mark.anyio
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become a user that owns nothing")
async def test_without_a_gate_the_broker_is_not_tried() -> None:
    report = await run_battery(small(OpenMachine()), LINEAGE[:1], furnish=furnish)
    assert [(one.outcome, one.detail) for one in report.tried] == [("not tried", "the machine has no gate")]
