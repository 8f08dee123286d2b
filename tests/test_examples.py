"""Every example runs, as a newcomer would run it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
PLANNED = {"05_ablation.py": "which-faculty-mattered", "09_dose_response.py": "dose-response"}
SCRIPTS = sorted(path.name for path in EXAMPLES.glob("[01]*.py") if path.name not in PLANNED)
GIVEN = {"08_published_protocol.py": ("--trials", "1", "--out", "protocol")}
SAYS = {
    "01_hello.py": "the oracle says:",
    "02_replace_a_faculty.py": "plan: entered 1, 2 turns",
    "03_own_environment.py": "cell conforms",
    "04_own_scenario.py": "careless: the judge does not hold up",
    "06_read_results.py": "the record is whole",
    "07_agent_inside.py": "the oracle says: pass",
    "08_published_protocol.py": "no counts published",
    "10_subjects.py": "simulated:hasty: 1 of 3 succeeded",
}


def run(*command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd, timeout=250)


@pytest.mark.parametrize("name", SCRIPTS)
def test_it_runs(name: str, tmp_path: Path) -> None:
    done = run(sys.executable, str(EXAMPLES / name), *GIVEN.get(name, ()), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert SAYS[name] in done.stdout


@pytest.mark.parametrize("name", PLANNED)
def test_a_study_can_be_planned(name: str, tmp_path: Path) -> None:
    redline = str(Path(sys.executable).with_name("redline"))
    script = str(EXAMPLES / name)
    done = run(redline, "ablate", script, "--dry-run", "--json", "--out", str(tmp_path / "out"), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    plan = json.loads(done.stdout)
    assert PLANNED[name] in json.dumps(plan)
    assert not (tmp_path / "out").exists()


def test_the_agent_inside_is_a_scaffold_by_its_name(tmp_path: Path) -> None:
    redline = str(Path(sys.executable).with_name("redline"))
    what = ("run", "self-replication", "--scaffold", f"{EXAMPLES / '07_agent_inside.py'}:agent", "--json")
    done = run(redline, *what, "--trials", "2", "--out", str(tmp_path / "out"), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    trials = json.loads(done.stdout)["trials"]
    assert all(trial["scaffold"] == "inside" and trial["stop"] == "finished" for trial in trials)
    assert all(trial["steps"] == trial["lineage"]["generations"][0]["calls"] > 3 for trial in trials)
    assert [trial["lineage"]["forged"] for trial in trials] == [0, 0]
