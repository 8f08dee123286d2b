"""Windows and memory from the command line on: how trials end, what is shown, replayed and found."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from whole_trials import Call, events
from windowed_server import answering, serving_window_aside

from ablation import Study, StudyFolder, ablate
from ablation.report import build_report
from ablation.runner import run_study
from environments.sandbox import Sandbox
from scaffold import Budget, FacultyScaffold, Memory
from scaffold.models import PROFILES, SimulatedSubject
from scenarios.catalogue import CATALOGUE

if TYPE_CHECKING:
    from typing import Any

WINDOW = 3750
"""Of 3,700 to 4,000 tokens that the task comes to; an eighth of it is left for the answer."""
SURE = replace(PROFILES["capable"], name="sure", exploration=1.0, foresight=1.0, care=1.0, repair=1.0)


def run_at(*options: object) -> tuple[object, ...]:
    return ("run", "broken-build", "--model", "simulated:capable", "--seed", 1, "--out", "out", *options)


def test_a_trial_goes_on_beyond_its_window_with_memory_and_ends_there_without(call: Call) -> None:
    said = call(*run_at("--context-window", WINDOW, "--json"))
    assert (said.returncode, said.trial["outcome"]) == (0, "success"), said.stderr
    (began,) = events("compacted")[:1]
    assert began["tokens_after"] < began["tokens_before"] <= WINDOW
    assert (began["window"], began["counted_by"]) == (WINDOW, "usage")
    shown = call("show", "out", said.trial["key"]).stdout
    assert "the conversation began anew: a note stands for" in " ".join(shown.split())
    assert f"of {WINDOW:,} tokens before (counted by usage)" in " ".join(shown.split())
    assert call("verify", "out").returncode == 0

    without = call(
        *("run", "broken-build", "--model", "simulated:capable", "--seed", 1, "--out", "less", "--json"),
        *("--scaffold", "no-memory", "--context-window", WINDOW),
    )
    assert (without.trial["outcome"], without.trial["limit"]) == ("limit", "context")


def test_a_trial_that_memory_began_anew_is_replayed(call: Call) -> None:
    """In a world whose values are long enough to be known again when they are drawn anew."""
    trial = ("run", "self-replication", "--model", "simulated:capable", "--seed", 1, "--out", "out", "--json")
    said = call(*trial, "--context-window", 3900)
    assert said.returncode == 0, said.stderr
    assert events("compacted")
    replayed = call("replay", "out", said.trial["key"], "--out", "again", "--json")
    assert replayed.returncode == 0, replayed.stdout
    assert replayed.found["holds"]


def test_a_window_that_the_first_request_does_not_fit_makes_the_trial_void(call: Call) -> None:
    said = call(*run_at("--context-window", 600, "--void-retries", 0, "--json"))
    assert (said.returncode, said.trial["outcome"], said.trial["steps"]) == (1, "void", 0)
    assert "the setting says that the subject takes 600" in said.trial["cause"]
    assert "--context-window" in said.trial["cause"]


def test_the_servers_window_is_found_and_a_refusal_of_its_own_still_ends_the_trial(call: Call) -> None:
    def looking(_: dict[str, Any]) -> dict[str, Any]:
        function = {"name": "shell", "arguments": '{"command": "seq 900"}'}
        return {
            "role": "assistant",
            "content": "",
            "tool_calls": [{"id": "c", "type": "function", "function": function}],
        }

    for options, refused in (((), 0), (("--context-window", 10**6), 1)):
        with serving_window_aside(answering(looking), window=6000) as server:
            out = f"out{refused}"
            said = call(
                *("run", "broken-build", "--model", "openai:m", "--base-url", server.url, "--out", out),
                *("--scaffold", "react", "--json", *options),
            )
        assert (said.trial["outcome"], said.trial["limit"]) == ("limit", "context")
        assert server.refused == refused


def test_only_a_number_of_tokens_is_a_window(call: Call) -> None:
    said = call(*run_at("--context-window", 0))
    assert said.returncode == 2
    assert "--context-window" in said.stderr
    assert not Path("out").exists()


@pytest.mark.anyio
async def test_a_small_study_finds_what_memory_buys_in_a_small_window(tmp_path: Path) -> None:
    study = Study(
        name="memory",
        arms=ablate(FacultyScaffold(memory=Memory()), faculties=("memory",)),
        scenarios=[CATALOGUE["broken-build"]],
        seeds=range(6),
        subject=SimulatedSubject(profile=SURE, window=WINDOW),
        environment=Sandbox(),
        budget=Budget(steps=40, seconds=120),
        controls=False,
    )
    result = await run_study(study, tmp_path / "out", concurrency=2)
    ended = {arm: [r for r in result.records if r.arm == arm] for arm in ("full", "no-memory")}
    assert [record.outcome for record in ended["full"]] == ["success"] * 6
    assert [(record.outcome, record.limit) for record in ended["no-memory"]] == [("limit", "context")] * 6
    assert all(record.faculties["memory"].turns for record in ended["full"])
    assert all("memory" not in record.faculties for record in ended["no-memory"])
    report = build_report(result.records, StudyFolder.load(result.folder).design)
    (effect,) = report.effects
    assert (effect.removed, effect.measured is not None) == ("memory", True)
    assert not [warning for warning in report.warnings if "memory" in warning]
    shares = {share.name: share for share in report.arms[0].faculties}
    assert shares["memory"].entered.count == 6
