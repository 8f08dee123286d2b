"""Whole studies, as real processes, that are halted, that wake up after their lease has lapsed, that leak."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from small_studies import Altered, small_study
from study_processes import lines, redline, script, wait_for

from ablation import StudyFolder, run_study, verify_study
from ablation.record import read_log
from environments.warden import here

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.anyio


@pytest.fixture
def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, subprocess.Popen[str]]]:
    """A study at work, whose commands take a while; and its folder."""
    monkeypatch.setenv("REDLINE_LEASE_S", "2")
    out = tmp_path / "out"
    process = redline("ablate", script(tmp_path, seeds=6, pause=1.5), "--out", out, "--concurrency", 4)
    wait_for(lambda: lines(out / "ledger.jsonl") > 6, process)
    yield out, process
    process.kill()
    process.communicate()


def halt(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ablation.cli", "halt", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def ended(out: Path) -> set[tuple[str, str]]:
    """Arms and outcomes of the trials that came to an end; only the controls are quick enough here."""
    events = read_log(out / "ledger.jsonl")
    return {(e["key"].partition("--")[0], e["outcome"]) for e in events if e["kind"] == "ended"}


def goes_on_to_its_end(out: Path) -> bool:
    process = redline("resume", out)
    _, stderr = process.communicate(timeout=110)
    assert process.returncode == 0, stderr
    check = verify_study(out)
    return check.ok and check.finished == 24


def test_a_study_is_halted_at_once_and_can_be_gone_on_with(
    running: tuple[Path, subprocess.Popen[str]],
) -> None:
    out, process = running
    began = time.monotonic()
    halted = halt(out, "--json")
    assert halted.returncode == 0, halted.stderr
    (study,) = json.loads(halted.stdout)["halted"]
    assert study["studies"] == [str(out)]
    assert study["runner"] == process.pid
    assert 1 <= study["machines"] <= 6
    assert study["left"] == []
    assert study["took_s"] < 2
    _, stderr = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "it was told to halt); " in stderr
    assert f"of 24 trials are saved: go on with `redline resume {out}`" in stderr
    assert time.monotonic() - began < 20
    assert ended(out) <= {"nothing": "failure", "reference": "success"}.items()
    assert verify_study(out).ok
    assert goes_on_to_its_end(out)


def test_a_runner_that_wakes_up_too_late_finds_its_study_halted(
    running: tuple[Path, subprocess.Popen[str]],
) -> None:
    out, process = running
    os.kill(process.pid, signal.SIGSTOP)
    time.sleep(4)
    os.kill(process.pid, signal.SIGCONT)
    _, stderr = process.communicate(timeout=20)
    assert process.returncode == 130, stderr
    assert "halted" in stderr
    assert "lease" in stderr
    # What the lapse broke is no result: neither success nor failure nor void.
    assert ended(out) <= {"nothing": "failure", "reference": "success"}.items()
    assert verify_study(out).ok


def test_nothing_to_halt_is_said_plainly(tmp_path: Path) -> None:
    halted = halt(tmp_path)
    assert halted.returncode == 2
    assert f"nobody is working on {tmp_path}" in halted.stderr
    neither = halt()
    assert neither.returncode == 2
    assert "its folder, or --all" in neither.stderr


async def test_a_leak_is_an_outcome_of_its_own_and_not_run_again(tmp_path: Path) -> None:
    result = await run_study(small_study(environment=Altered(leaks=True), seeds=[0]), tmp_path / "out")
    (record,) = result.records
    assert record.outcome == "leaked"
    assert record.cause == "small: left behind a process"
    assert result.leaks == (record,)
    assert result.voids == ()
    assert result.attempts == 1
    assert [m.passed for m in record.milestones] == [True]


async def test_the_ledger_says_at_the_end_that_nothing_was_left(tmp_path: Path) -> None:
    result = await run_study(small_study(), tmp_path / "out")
    assert result.left == ()
    (teardown,) = (e for e in read_log(tmp_path / "out/ledger.jsonl") if e["kind"] == "teardown")
    assert teardown["left"] == []
    assert teardown["machines"] == 2


async def test_what_is_found_of_machines_at_the_end_is_told(tmp_path: Path) -> None:
    place = tmp_path / "came back"
    study = small_study(seeds=[0])
    held = here().hold("test", lifetime_s=60)
    held.folder(place)
    await held.release()
    place.mkdir()
    result = await run_study(study, tmp_path / "out")
    assert result.left == (str(place),)


@pytest.mark.parametrize("leaks", [True, False])
def test_a_leak_makes_the_command_fail(tmp_path: Path, leaks: bool) -> None:  # noqa: FBT001  a parameter of the test
    (tmp_path / "machines.py").write_text(
        f"from small_studies import Altered\nmachines = Altered(leaks={leaks})\n"
    )
    path = script(tmp_path, seeds=1, pause=0)
    machines = f"{tmp_path / 'machines.py'}:machines"
    process = redline("ablate", path, "--out", tmp_path / "out", "--environment", machines, "--json")
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == (1 if leaks else 0), stderr
    outcomes = {trial["outcome"] for trial in json.loads(stdout)["trials"]}
    assert outcomes == ({"leaked"} if leaks else {"success", "failure"})
    assert len(StudyFolder.load(tmp_path / "out").records()) == 4
