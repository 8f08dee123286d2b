"""The command line: in processes of its own where that matters, else in this one, which is faster."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest
from small_studies import small_study
from whole_trials import Call, apart

from ablation import run_study
from ablation.cli import redline as group

TASKS = """
from dataclasses import replace
from scaffold import FacultyScaffold
from small_studies import Altered, copier, note, uncertified

open_machine = Altered(alter=uncertified)
leaky = Altered(leaks=True)
hazardous = replace(note, hazard="replication")
subject = copier()
number = 7

def Loop():
    return FacultyScaffold(name="loop", explore=None, plan=None)

class Odd:
    name = "odd"
    simulated = True
    def connect(self):
        raise RuntimeError("odd bug")
"""


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (tmp_path / "tasks.py").write_text(TASKS)
    return tmp_path


@pytest.fixture
def call(call: Call, here: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    """As everywhere, with the tasks above to name."""
    assert Path.cwd() == here
    monkeypatch.delitem(sys.modules, "tasks", raising=False)
    return call


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    asyncio.run(run_study(small_study(controls=True), folder))
    return folder


def test_help_names_every_command_and_comes_at_once(tmp_path: Path) -> None:
    seconds = []
    for _ in range(3):
        before = os.times()
        shown = apart("--help", cwd=tmp_path)
        after = os.times()
        # Of the processor: how long it takes on the wall is up to what else runs here.
        seconds.append(
            after.children_user + after.children_system - before.children_user - before.children_system
        )
    assert shown.returncode == 0
    for command in group.list_commands(None):  # type: ignore[arg-type]
        assert f"\n  {command} " in shown.stdout
    assert min(seconds) < 0.4


def test_help_loads_nothing_heavy(tmp_path: Path) -> None:
    code = """if True:
        import sys
        from ablation.cli import main
        sys.argv[1:] = ["--help"]
        try:
            main()
        finally:
            print(*sys.modules)
    """
    shown = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    loaded = set(shown.stdout.split())
    assert not loaded & {"langgraph", "langchain_core", "pydantic", "rich", "scipy", "matplotlib", "asyncio"}


@pytest.mark.parametrize("command", ["ablate", "run", "report"])
def test_each_command_teaches_with_an_example(call: Call, command: str) -> None:
    shown = call(command, "--help")
    assert shown.returncode == 0
    assert f"  redline {command} " in shown.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["ablat", "x.py"], "there is no command 'ablat', did you mean 'ablate'?"),
        (
            ["run", "self-replicaton"],
            "there is no scenario 'self-replicaton', did you mean 'self-replication'?",
        ),
        (["run", "self-replication", "-s", "fool"], "there is no scaffold 'fool', did you mean 'full'?"),
        (["run", "self-replication", "-e", "sandbx"], "there is no environment 'sandbx', did you mean"),
        (["run", "self-replication", "-m", "simulated:stedy"], "did you mean steady?"),
        (["run", "self-replication", "-m", "opnai:x"], "did you mean openai?"),
        (["run", "no_such_module:thing"], "cannot load 'no_such_module:thing'"),
        (["run", "tasks:nothing"], "cannot load 'tasks:nothing'"),
        (["run", "tasks:number"], "tasks:number is not a Scenario"),
        (["run", "self-replication", "-s", "tasks:number"], "it needs a `name` and an async `run`"),
        (["run", "self-replication", "--max-steps", "0"], "budget: steps: Input should be greater than"),
        (["run", "self-replication", "--price", "cheap"], "is not IN,OUT or IN,OUT,CACHED"),
        (["run", "find-fact", "--set", "temperature=hot"], "temperature is 'hot': it is a number from 0 up"),
        (["run", "find-fact", "--base-url", "http://127.0.0.1:9/v1"], "goes with --model openai:NAME"),
        (["run", "find-fact", "-m", "openai:x", "--vllm-arg", "a=1"], "goes with --model vllm:NAME"),
        (["run", "find-fact", "--reply-cache", "tasks.py/x"], "name a folder that can be written"),
        (
            ["run", "find-fact", "-m", "openai:x", "--header", "X-Team=env:NOBODY_SET_IT"],
            "no subject: a header is to come from the variable NOBODY_SET_IT, which is not set: export it",
        ),
        (["ablate", "tasks.py", "--stream", "--served", "x"], "--stream and --served go with --model"),
        (
            ["run", "find-fact", "--difficulty", "9"],
            "find-fact has no difficulty 9: it comes in 1, 2, 3, 4, 5",
        ),
        (["run", "find-fact", "--instruction", "hnt"], "did you mean 'hint'?"),
        (["run", "find-fact", "--framing", "ordr"], "did you mean 'order'?"),
        (["run", "errand", "--hurdle", "stale-lok"], "did you mean 'stale-lock'?"),
        (["run", "errand", "--hurdle", "stale-lock=9"], "doses go from 1 to 5"),
        (["run", "errand", "--hurdle", "stale-lock=x"], "a dose is a number from 1 to 5"),
        (["ablate", "missing.py"], "there is no script missing.py"),
        (["ablate", "tasks.py"], "tasks.py defines no `study`"),
        (["report", "."], ". holds no study (no study.json)"),
        (["resume", "."], ". holds no study"),
        (["verify", "nowhere"], "does not exist"),
    ],
)
def test_wrong_use_is_one_line_that_names_the_mend(call: Call, arguments: list[str], said: str) -> None:
    shown = call(*arguments)
    assert shown.returncode == 2
    assert said in shown.stderr
    assert "Traceback" not in shown.stderr
    assert shown.stdout == ""


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("x = 1\ny = x +\n", "study.py:2: invalid syntax"),
        ("\n\nprint(nme)\n", "study.py:3: NameError: name 'nme' is not defined"),
        ("import sys\nsys.exit('stop')\n", "study.py:2: SystemExit: stop"),
        ("study = 7\n", "study.py defines `study` as int: give it a module-level `study = Study(...)`"),
        ("from small_studies import *\nstudy = small_study(arms=[])\n", "study.py:2: the study has no arms"),
    ],
)
def test_an_error_in_a_script_is_shown_with_file_and_line(
    here: Path, call: Call, script: str, said: str
) -> None:
    (here / "study.py").write_text(script)
    shown = call("ablate", "study.py")
    assert shown.returncode == 2
    assert said in shown.stderr
    assert "Traceback" not in shown.stderr


def test_a_run_prints_one_object_and_nothing_else_with_json(here: Path) -> None:
    arguments = (
        "run",
        "small_studies:note",
        "-s",
        "tasks.py:Loop",
        "-m",
        "tasks:subject",
        "-n",
        2,
        "--out",
        "out",
    )
    shown = apart(*arguments, "--json", cwd=here)
    assert shown.returncode == 0, shown.stderr
    found: dict[str, Any] = orjson.loads(shown.stdout)
    assert [trial["outcome"] for trial in found["trials"]] == ["success", "success"]
    assert found["arms"][0]["successes"] == 2
    assert found["folder"] == "out"
    assert (here / found["trials"][0]["log"]).exists() or (here / "out" / found["trials"][0]["log"]).exists()

    (here / "elsewhere").mkdir()
    again = apart("resume", here / "out", "--json", cwd=here / "elsewhere")
    assert again.returncode == 0, again.stderr
    assert orjson.loads(again.stdout)["trials"] == found["trials"]


def test_a_hurdle_that_does_not_fit_ends_the_study_by_its_name(here: Path) -> None:
    shown = apart("run", "small_studies:note", "--hurdle", "stale-lock", "--out", "unfit", cwd=here)
    assert shown.returncode == 2
    assert "the hurdle 'stale-lock' does not fit" in shown.stderr


def test_a_variant_is_run_and_recorded_by_its_name(here: Path) -> None:
    what = ("run", "errand", "--scaffold", "reference", "--difficulty", "1", "--hurdle", "stale-lock=2")
    shown = apart(
        *what, "--instruction", "hint", "--placement", "system", "--json", "--out", "told", cwd=here
    )
    (trial,) = orjson.loads(shown.stdout)["trials"]
    assert (trial["scenario"], trial["base"]) == ("errand.d1.hint.system.stale-lock2", "errand")
    assert (trial["outcome"], trial["difficulty"], trial["level"]) == ("success", 1, "hint")
    assert [(hurdle["name"], hurdle["dose"]) for hurdle in trial["hurdles"]] == [("stale-lock", 2)]


def test_containment_refused_is_status_three_whatever_is_asked(here: Path) -> None:
    arguments = ("run", "tasks:hazardous", "-e", "tasks:open_machine", "-s", "reference", "--out", "out")
    shown = apart(*arguments, cwd=here, REDLINE_DEBUG="1")
    assert shown.returncode == 3
    assert "containment refused: note runs only on a machine that is shown to be closed" in shown.stderr
    assert apart("resume", "out", cwd=here).returncode == 3


def test_a_trial_that_leaked_is_status_one(here: Path) -> None:
    shown = apart("run", "small_studies:note", "-e", "tasks:leaky", "-s", "reference", "--json", cwd=here)
    assert shown.returncode == 1
    (trial,) = orjson.loads(shown.stdout)["trials"]
    assert trial["outcome"] == "leaked"
    folder = next(here.glob("runs/*/study.json")).parent
    assert folder.name.startswith("note-reference-")


def test_a_dry_run_prints_the_design_and_makes_nothing(here: Path, call: Call) -> None:
    (here / "study.py").write_text("from small_studies import *\nstudy = small_study(controls=True)\n")
    shown = call("ablate", "study.py", "--dry-run", "--trials", 5, "--seed", 10, "--json")
    assert shown.returncode == 0, shown.stderr
    design = orjson.loads(shown.stdout)
    assert design["seeds"] == [10, 11, 12, 13, 14]
    assert [arm["name"] for arm in design["arms"]] == ["full", "reference", "nothing"]
    assert call("ablate", "study.py", "--dry-run").stdout.count("positive control") == 1
    hasty = call("ablate", "study.py", "--dry-run", "--void-retries", 0, "--json")
    assert (design["void_retries"], orjson.loads(hasty.stdout)["void_retries"]) == (2, 0)
    assert not (here / "runs").exists()


def test_another_design_in_a_folder_is_refused(here: Path, call: Call, study: Path) -> None:
    (here / "study.py").write_text("from small_studies import *\nstudy = small_study(seeds=[5])\n")
    shown = call("ablate", "study.py", "--out", study)
    assert shown.returncode == 2
    assert "seeds" in shown.stderr


def test_a_study_started_by_a_program_says_how_to_go_on(call: Call, study: Path) -> None:
    shown = call("resume", study)
    assert shown.returncode == 2
    assert "run that program again" in shown.stderr


def test_verify_says_what_it_found(call: Call, study: Path) -> None:
    shown = call("verify", study, "--json")
    assert shown.returncode == 0
    assert orjson.loads(shown.stdout)["ok"] is True
    log = next((study / "trials").iterdir())
    content = log.read_bytes()
    log.write_bytes(content.replace(b'"kind":"world"', b'"kind":"wurld"'))
    shown = call("verify", study)
    log.write_bytes(content)
    assert shown.returncode == 1
    assert f"BROKEN  trials/{log.name}: line 3 was edited" in shown.stdout


@pytest.mark.parametrize("form", ["text", "md", "json", "csv"])
def test_reports_come_on_standard_output(call: Call, study: Path, form: str) -> None:
    shown = call("report", study, "--format", form)
    assert shown.returncode == 0, shown.stderr
    assert "full" in shown.stdout
    assert form != "json" or len(orjson.loads(shown.stdout)["trials"]) == 6


def test_the_html_report_is_written_beside_the_logs(call: Call, study: Path) -> None:
    shown = call("report", study, "--format", "html")
    assert shown.stdout.strip() == str(study / "report.html")
    assert (study / "report.html").read_text().lstrip().lower().startswith("<!doctype html>")


def test_a_trial_is_shown_by_enough_of_its_key(call: Call, study: Path) -> None:
    assert "note" in call("show", study, "full--note--0").stdout
    assert call("show", study, "full--note--1").returncode == 0
    assert "could be 2 trials" in call("show", study, "full").stderr
    assert "did you mean 'full--note--0'" in call("show", study, "ful-note-0").stderr


def test_names_are_listed(call: Call) -> None:
    found = orjson.loads(call("list", "--json").stdout)
    assert set(found) == {"scaffolds", "scenarios", "environments", "subjects"}
    assert {"full", "reference", "nothing", "react", "no-plan"} <= set(found["scaffolds"])


def test_a_scenario_of_ones_own_is_validated(here: Path) -> None:
    shown = apart("validate", "small_studies:note", "--seeds", 2, "--json", cwd=here)
    assert shown.returncode == 0, shown.stderr
    assert orjson.loads(shown.stdout)["ok"] is True


def test_doctor_opens_a_sandbox_and_asks_the_subject(here: Path) -> None:
    shown = apart("doctor", "--json", "--model", "openai:x", "--base-url", "http://127.0.0.1:9/v1", cwd=here)
    findings = {finding["name"]: finding for finding in orjson.loads(shown.stdout)["findings"]}
    assert findings["sandbox"]["ok"] is True
    assert findings["subject openai:x"]["ok"] is False
    assert "127.0.0.1:9" in findings["subject openai:x"]["detail"]
    assert shown.returncode == 1


def test_what_nobody_expected_is_one_line_and_a_traceback_only_on_demand(here: Path) -> None:
    arguments = ("run", "small_studies:note", "-m", "tasks:Odd", "-s", "nothing")
    shown = apart(*arguments, cwd=here, TMPDIR=str(here))
    assert shown.returncode == 1
    assert "redline: unexpected RuntimeError: odd bug" in shown.stderr
    assert "Traceback" not in shown.stderr
    assert "odd bug" in next(here.glob("redline-bug-*.txt")).read_text()
    assert "Traceback" in apart(*arguments, cwd=here, REDLINE_DEBUG="1").stderr
