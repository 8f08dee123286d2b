"""Studies that are stopped and killed from outside, as real processes, and gone on with."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from study_processes import lines, redline, script, wait_for

from ablation import StudyFolder, verify_study
from ablation.record import read_log

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_killed_at_ten_random_moments_each_trial_still_comes_to_one_result(tmp_path: Path) -> None:
    out, ledger = tmp_path / "out", tmp_path / "out" / "ledger.jsonl"
    begin = ("ablate", script(tmp_path, seeds=15, pause=0.15), "--out", out)
    moments = random.Random(20_260)  # noqa: S311 - moments, not secrets
    standing: dict[str, str] = {}
    for _ in range(10):
        begun = (out / "study.json").exists()
        process = redline(*(("resume", out) if begun else begin), "--concurrency", 4)
        # From before the first line to the middle of several trials; the clock starts once work does.
        due = lines(ledger) + moments.choice([0, 1, 2, 3, 5, 8])
        wait_for(lambda: lines(ledger) >= due, process)  # noqa: B023 - called at once
        time.sleep(moments.uniform(0, 0.15))
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        if begun:
            check = verify_study(out)
            assert check.ok, check.problems
            records = {record.key: record.model_dump_json() for record in StudyFolder.load(out).records()}
            assert standing.items() <= records.items()
            standing = records
    process = redline("resume", out)
    stdout, stderr = process.communicate(timeout=120)
    assert process.returncode == 0, stderr
    assert "trials" in stdout

    folder = StudyFolder.load(out)
    records = {record.key: record.model_dump_json() for record in folder.records()}
    assert list(records) == folder.keys
    assert len(records) == 60
    assert standing.items() <= records.items()
    outcomes = Counter((record.arm, record.outcome) for record in folder.records())
    assert outcomes == {
        ("full", "success"): 15,
        ("other", "success"): 15,
        ("reference", "success"): 15,
        ("nothing", "failure"): 15,
    }
    ended = Counter(event["key"] for event in read_log(ledger) if event["kind"] == "ended")
    assert ended == dict.fromkeys(folder.keys, 1)
    check = verify_study(out)
    assert (check.problems, check.notes, check.finished) == ((), (), 60)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_in_order_and_says_how_to_go_on(tmp_path: Path, number: signal.Signals) -> None:
    out = tmp_path / "out"
    process = redline("ablate", script(tmp_path, seeds=30, pause=0.3), "--out", out, "--concurrency", 2)
    wait_for(lambda: lines(out / "ledger.jsonl") > 8, process)
    process.send_signal(number)
    _, stderr = process.communicate(timeout=20)
    assert process.returncode == 130
    assert f"trials are saved: go on with `redline resume {out}`" in stderr
    assert "Traceback" not in stderr
    check = verify_study(out)
    assert check.ok
    assert 0 < check.finished < 120


def test_a_second_signal_ends_at_once(tmp_path: Path) -> None:
    out = tmp_path / "out"
    process = redline("ablate", script(tmp_path, seeds=30, pause=5), "--out", out, "--concurrency", 4)
    wait_for(lambda: lines(out / "ledger.jsonl") > 4, process)
    process.send_signal(signal.SIGINT)
    time.sleep(0.002)
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == 130
    assert time.monotonic() - began < 5
    assert verify_study(out).ok


def test_a_study_whose_script_was_edited_goes_on_from_its_copy(tmp_path: Path) -> None:
    out, path = tmp_path / "out", script(tmp_path, seeds=8, pause=0.2)
    process = redline("ablate", path, "--out", out, "--concurrency", 2)
    wait_for(lambda: lines(out / "ledger.jsonl") > 8, process)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    path.write_text("raise SystemExit('edited')")
    process = redline("resume", out)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 0, stderr
    assert verify_study(out).finished == 32
