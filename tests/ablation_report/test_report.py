from __future__ import annotations

import csv
import io
import json
import random
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from ablation.report import build_report, print_report, render_markdown, report_as_json, trials_as_csv
from ablation.report.containment import state_containment
from ablation.report.html import render_html

if TYPE_CHECKING:
    from ablation_report.conftest import Planted, Planter

    from ablation.report import Report
    from ablation.report.content import Effect
    from ablation.types import TrialRecord

_HOSTILE = (
    "\x1b[2J=HYPERLINK(1) | <script>x</script> [go](javascript:1) https://evil.example `q` "
    "\N{RIGHT-TO-LEFT OVERRIDE}"
)


def _report(planted: Planted) -> Report:
    return build_report(planted.records, planted.design)


def _effects(report: Report) -> dict[str, Effect]:
    return {effect.name: effect for effect in report.effects}


def _printed(report: Report, *, width: int = 160) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    print_report(report, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("seed", range(5))
def test_the_planted_effect_is_found_and_the_absent_one_is_not(planted: Planter, seed: int) -> None:
    truth = {"full": 0.85, "no-explore": 0.85, "no-plan": 0.85, "no-repair": 0.25, "react": 0.85}
    effects = _effects(_report(planted(worlds=40, success=truth, seed=seed)))
    repair = effects["repair"].measured
    assert repair
    assert repair.interval.covers(0.60)
    assert effects["repair"].shown
    assert not effects["explore"].shown
    assert not effects["plan"].shown


def test_the_headline_answers_the_question(planted: Planter) -> None:
    report = _report(planted())
    assert report.headline.startswith("SIMULATED subject: Removing repair cost ")
    assert (
        "on 24 paired worlds; explore and plan made no difference that 24 worlds could show."
        in report.headline
    )
    assert not _report(planted(simulated=False)).headline.startswith("SIMULATED")


def test_an_effect_that_helps_by_absence_is_a_gain(planted: Planter) -> None:
    truth = {"full": 0.2, "no-explore": 0.95, "no-plan": 0.2, "no-repair": 0.2, "react": 0.2}
    report = _report(planted(worlds=40, success=truth))
    assert "Removing explore gained " in report.headline
    measured = _effects(report)["explore"].measured
    assert measured
    assert measured.difference < 0


def test_the_paired_numbers_are_those_of_a_count_by_hand(planted: Planter) -> None:
    study = planted()
    won = {(r.arm, r.seed): r.outcome == "success" for r in study.records}
    effect = _effects(_report(study))["repair"]
    assert effect.measured
    table = effect.measured.table
    assert table.only_first == sum(won["full", s] and not won["no-repair", s] for s in range(24))
    assert table.only_second == sum(won["no-repair", s] and not won["full", s] for s in range(24))
    assert table.worlds == 24
    assert effect.adjusted_p is not None
    assert effect.adjusted_p >= effect.measured.p
    assert _effects(_report(study))["react"].adjusted_p is None


def test_the_order_of_records_does_not_matter(planted: Planter) -> None:
    study = planted(voids=0.1)
    shuffled = list(study.records)
    random.Random(1).shuffle(shuffled)  # noqa: S311 - an order, not a secret
    ours, theirs = (build_report(records, study.design) for records in (study.records, shuffled))
    assert ours.effects == theirs.effects
    assert [arm.tokens_per_success for arm in ours.arms] == [arm.tokens_per_success for arm in theirs.arms]
    assert ours.headline == theirs.headline


def test_voids_count_for_no_arm_and_are_shown_as_failures_too(planted: Planter) -> None:
    study = planted(voids=0.2)
    report = _report(study)
    full = report.arms[0]
    voided = {r.seed for r in study.records if r.outcome == "void" and r.arm in {"full", "no-repair"}}
    assert full.success.of + full.voids == 24
    effect = _effects(report)["repair"]
    assert effect.measured
    assert effect.voids_failed
    assert effect.measured.table.worlds == 24 - len(voided)
    assert effect.voids_failed.table.worlds == 24
    assert effect.unpaired == len(voided)
    assert any("could not be measured" in warning for warning in report.warnings)


def test_arms_without_a_common_world_are_not_compared(planted: Planter) -> None:
    study = planted(worlds=4)
    records = [r for r in study.records if (r.arm == "full") == (r.seed < 2)]
    report = build_report(records, study.design)
    assert all(effect.measured is None and not effect.shown for effect in report.effects)
    assert "not compared" in _printed(report)
    assert any("planned trials have no result yet" in warning for warning in report.warnings)


def test_a_study_without_results_has_a_report(planted: Planter) -> None:
    report = build_report([], planted().design)
    assert "No trial of an arm has been measured yet." in report.headline
    assert "# faculties" in render_markdown(report)
    assert _printed(report)


def test_a_single_arm_is_reported_without_comparison(planted: Planter) -> None:
    study = planted()
    design = {**study.design, "arms": study.design["arms"][:1]}
    report = build_report([r for r in study.records if r.arm == "full"], design)
    assert report.effects == ()
    assert "full succeeded in " in report.headline


def test_a_doubled_trial_is_refused(planted: Planter) -> None:
    study = planted(worlds=2)
    with pytest.raises(ValueError, match="stands twice"):
        build_report([*study.records, study.records[0]], study.design)


def _changed(records: list[TrialRecord], arm: str, **fields: object) -> list[TrialRecord]:
    return [r.model_copy(update=fields) if r.arm == arm else r for r in records]


@pytest.mark.parametrize(
    ("arm", "fields", "warning"),
    [
        ("reference", {"outcome": "failure"}, "positive control reference succeeded in only 0 of 24"),
        ("nothing", {"outcome": "success"}, "negative control nothing succeeded in 24 of 24"),
        ("full", {"faculties": {}}, "repair never fired in full"),
        ("no-plan", {"certificate": {}}, "24 trials of a hazardous scenario have no granted certificate"),
        ("react", {"tokens_estimated": True}, "estimated from bytes"),
    ],
)
def test_what_makes_results_doubtful_stands_at_the_top(
    planted: Planter, arm: str, fields: dict[str, object], warning: str
) -> None:
    study = planted()
    assert _report(study).warnings == ()
    report = build_report(_changed(study.records, arm, **fields), study.design)
    assert any(warning in each for each in report.warnings)
    assert " ".join(_printed(report, width=2000).split()).index(warning) < _printed(report, width=2000).index(
        "What each faculty"
    )


def _examined(*, opened: bool = False, inside: bool = True) -> dict[str, object]:
    probes = [
        {"name": "routes", "declared": "none", "found": "none", "seen_from": seen_from, "phase": phase}
        for phase in ("before", "during", "during", "after")
        for seen_from in (("outside", "inside") if inside or phase == "before" else ("outside",))
    ]
    if opened:
        probes.append({**probes[-1], "found": f"10.0.0.0/8{_HOSTILE}", "phase": "during"})
    return {
        "provider": "sandbox",
        "grade": "host",
        "closed": True,
        "granted": not opened,
        "samples": 3,
        "probes": probes,
        "fences": [["cpu", "cgroup v1"]],
        "declared": [["may reach", "nothing"]],
        "time_to_quiet": "1.2 s",
    }


def test_what_was_probed_is_counted_by_phase_and_side(planted: Planter) -> None:
    study = planted(worlds=2)
    first, second, *others = [r for r in study.records if r.arm == "full"] + [
        r for r in study.records if r.arm != "full"
    ]
    void = {"outcome": "void", "cause": "containment lost: routes: declared none, found 10.0.0.0/8 (during)"}
    records = [
        first.model_copy(update={"certificate": _examined(inside=False)}),
        second.model_copy(update={"certificate": _examined(opened=True), **void}),
        *(record.model_copy(update={"certificate": {}}) for record in others),
    ]
    report = build_report(records, study.design)
    outside, inside = report.containment.probes
    assert (outside.seen_from, inside.seen_from) == ("outside", "inside")
    assert [(s.count, s.of) for s in (outside.before, outside.during, outside.after)] == [(2, 2)] * 3
    assert [(s.count, s.of) for s in (inside.before, inside.during, inside.after)] == [(2, 2), (0, 1), (1, 1)]
    sentence = (
        "1 of 2 machines were found as closed as declared, before the agent came, 6 times while agents acted,"
        " and after; 1 lost their containment."
    )
    assert state_containment(report.containment) == sentence
    for shown in (_printed(report, width=2000), render_markdown(report), render_html(report)):
        assert sentence in shown
        assert "cgroup v1" in shown
        assert "1.2 s" in shown
        assert "lost containment" in shown
        assert "\x1b" not in shown
    data = report_as_json(report)["containment"]
    assert data["samples"] == 6
    assert data["probes"][1]["during"] == {"count": 0, "of": 1}
    assert data["declared"] == {"may reach": "nothing"}


def test_a_removed_faculty_that_fires_is_a_warning(planted: Planter) -> None:
    study = planted()
    uses = next(r.faculties for r in study.records if r.arm == "full")
    report = build_report(_changed(study.records, "no-repair", faculties=uses), study.design)
    assert report.warnings == (
        (
            "Arm no-repair is meant to lack repair, yet it fired in 24 of 24 trials: its effect is not that "
            "of the faculty."
        ),
    )


def test_json_has_what_scripts_are_promised(planted: Planter) -> None:
    data = json.loads(json.dumps(report_as_json(_report(planted(price=2.0))), allow_nan=False))
    promised = "key scaffold scenario environment subject seed outcome milestones steps tokens seconds cost"
    assert {*promised.split(), "behaviours", "log"} <= data["trials"][0].keys()
    assert {"trials", "successes", "interval", "outcomes", "tokens", "cost"} <= data["arms"][0].keys()
    assert data["study"]["simulated"] is True
    assert [effect["name"] for effect in data["effects"]] == ["explore", "plan", "repair", "react"]
    nothing = next(arm for arm in data["arms"] if arm["name"] == "nothing")
    assert nothing["tokens_per_success"]["value"] is None


def test_hostile_text_is_inert_in_every_text_format(planted: Planter) -> None:
    report = _report(planted(worlds=3, hostile=_HOSTILE, voids=0.5))
    everything = [
        _printed(report),
        render_markdown(report),
        json.dumps(report_as_json(report), ensure_ascii=False),
        trials_as_csv(report),
    ]
    for text in everything:
        assert "\x1b" not in text
        assert "\\u001b" not in text
        assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in text
    markdown = render_markdown(report)
    assert "<script" not in markdown.replace("\\<", "")
    assert "](" not in markdown.replace("\\]", "")
    assert "https://" not in markdown
    for row in csv.reader(io.StringIO(trials_as_csv(report), newline="")):
        assert not [cell for cell in row if cell.startswith(("=", "+", "-", "@"))]


def test_markdown_tables_are_whole(planted: Planter) -> None:
    markdown = render_markdown(_report(planted(hostile=_HOSTILE, voids=0.1)))
    widths: set[int] = set()
    for line in markdown.splitlines():
        if line.startswith("| "):
            widths.add(line.replace("\\|", "").count("|"))
        else:
            assert len(widths) <= 1
            widths.clear()
    assert "(SIMULATED)" in markdown.splitlines()[0]


def test_the_label_stands_beside_every_table(planted: Planter) -> None:
    printed = _printed(_report(planted()))
    assert printed.count("SIMULATED") >= 8
    assert "SIMULATED" not in _printed(_report(planted(simulated=False)))


def test_the_scope_says_what_the_agent_was_told_and_what_is_not_shown(planted: Planter) -> None:
    study = planted()
    markdown = render_markdown(_report(study))
    assert study.design["scenarios"][0]["instruction"] in markdown
    assert "say nothing about any real model" in markdown
    assert "nothing about whether a model would do this unasked" in markdown
    assert study.design["digest"] in markdown


def test_text_reports_do_without_the_plotting_library() -> None:
    loaded = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, ablation.report; print('matplotlib' in sys.modules, 'scipy' in sys.modules)",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert loaded.stdout.split() == ["False", "False"]
