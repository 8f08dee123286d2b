"""A report for programs: plain data for JSON, and the trials as CSV."""

from __future__ import annotations

import csv
import io
from math import isfinite
from typing import TYPE_CHECKING, Any

from ablation import untrusted

if TYPE_CHECKING:
    from ablation.report.content import Arm, Comparison, Effect, ProbeShare, Proportion, Report
    from ablation.statistics import Estimate, Interval
    from ablation.types import TrialRecord

__all__ = ["report_as_json", "trials_as_csv"]

_COLUMNS = (
    "key",
    "arm",
    "role",
    "scaffold",
    "scenario",
    "environment",
    "subject",
    "simulated",
    "seed",
    "outcome",
    "limit",
    "cause",
    "milestones_passed",
    "milestones",
    "hurdles",
    "interventions",
    "unaided",
    "canaries",
    "steps",
    "tokens",
    "prompt_tokens",
    "cached_tokens",
    "completion_tokens",
    "tokens_estimated",
    "seconds",
    "cost",
    "answers_from_cache",
    "tokens_from_cache",
    "attempt",
    "log",
)


def report_as_json(report: Report) -> dict[str, Any]:
    """Return the report as data that any JSON encoder takes. An infinite number is null."""
    return {
        "study": {
            "name": report.study,
            "question": report.question,
            "headline": report.headline,
            "simulated": report.simulated,
            "subjects": list(report.subjects),
            "environment": report.environment,
            "digest": report.digest,
            "planned": report.planned,
            "incomplete": report.incomplete,
            "cost_known": report.cost_known,
            "warnings": list(report.warnings),
            "scope": list(report.scope.statements),
        },
        "trials": [_trial(trial) for trial in report.trials],
        "arms": [_arm(arm) for arm in report.arms],
        "effects": [_effect(effect) for effect in report.effects],
        "supervision": [
            {
                "arm": found.arm,
                "interventions": found.interventions,
                "helped": _proportion(found.helped),
                "aborted": found.aborted,
                "unaided": _proportion(found.unaided),
                "unaided_interval": _interval(found.unaided.interval),
            }
            for found in report.supervision
        ],
        "canaries": [
            {
                "arm": found.arm,
                "touched": _proportion(found.touched),
                "interval": _interval(found.touched.interval),
                "hows": dict(found.hows),
                "unwatched": list(found.unwatched),
            }
            for found in report.canaries
        ],
        "containment": {
            **_proportion(report.containment.granted),
            "providers": list(report.containment.providers),
            "lost": report.containment.lost,
            "samples": report.containment.samples,
            "probes": [_probe(share) for share in report.containment.probes],
            "fences": dict(report.containment.fences),
            "declared": dict(report.containment.declared),
            "time_to_quiet": list(report.containment.time_to_quiet),
        },
    }


def _probe(share: ProbeShare) -> dict[str, Any]:
    phases = {"before": share.before, "during": share.during, "after": share.after}
    return {
        "name": untrusted.line(share.name),
        "seen_from": share.seen_from,
        "declared": untrusted.line(share.declared),
        **{phase: _proportion(found) for phase, found in phases.items()},
    }


def _trial(trial: TrialRecord) -> dict[str, Any]:
    return {
        **trial.model_dump(
            mode="json", exclude={"certificate", "cause", "submission", "milestones", "canaries"}
        ),
        "cause": untrusted.line(trial.cause),
        "submission": None if trial.submission is None else untrusted.passage(trial.submission),
        "milestones": [
            {"name": m.name, "passed": m.passed, "evidence": untrusted.line(m.evidence)}
            for m in trial.milestones
        ],
        "canaries": [
            {**touch.model_dump(mode="json"), "evidence": untrusted.line(touch.evidence)}
            for touch in trial.canaries
        ],
    }


def _arm(arm: Arm) -> dict[str, Any]:
    return {
        "name": arm.name,
        "role": arm.role,
        "baseline": arm.baseline,
        "removed": arm.removed,
        "trials": arm.success.of,
        "successes": arm.success.count,
        "interval": _interval(arm.success.interval),
        "voids": arm.voids,
        "attempts": arm.attempts,
        "outcomes": dict(arm.outcomes),
        "limits": dict(arm.limits),
        "milestones": [{"name": m.name, **_proportion(m.passed)} for m in arm.milestones],
        "steps": _estimate(arm.steps),
        "seconds": _estimate(arm.seconds),
        "tokens": _estimate(arm.tokens),
        "prompt_tokens": _estimate(arm.prompt_tokens),
        "cached_tokens": _estimate(arm.cached_tokens),
        "completion_tokens": _estimate(arm.completion_tokens),
        "tokens_per_success": _estimate(arm.tokens_per_success),
        "tokens_estimated": arm.tokens_estimated,
        "cost": _estimate(arm.cost),
        "cost_per_success": _estimate(arm.cost_per_success),
        "faculties": [
            {
                "name": faculty.name,
                "present": faculty.present,
                "entered": faculty.entered.count,
                "turns": faculty.turns,
                "tool_calls": faculty.tool_calls,
                "tokens_share": faculty.tokens,
            }
            for faculty in arm.faculties
        ],
    }


def _effect(effect: Effect) -> dict[str, Any]:
    return {
        "name": effect.name,
        "arm": effect.arm,
        "baseline": effect.baseline,
        "removed": effect.removed,
        "shown": effect.shown,
        "adjusted_p": effect.adjusted_p,
        "unpaired_worlds": effect.unpaired,
        "measured": _comparison(effect.measured),
        "voids_as_failures": _comparison(effect.voids_failed),
    }


def _comparison(comparison: Comparison | None) -> dict[str, Any] | None:
    if comparison is None:
        return None
    return {
        "difference": comparison.difference,
        "interval": _interval(comparison.interval),
        "p": comparison.p,
        "worlds": comparison.table.worlds,
        "both": comparison.table.both,
        "only_baseline": comparison.table.only_first,
        "only_arm": comparison.table.only_second,
        "neither": comparison.table.neither,
    }


def _proportion(share: Proportion) -> dict[str, int]:
    return {"count": share.count, "of": share.of}


def _estimate(value: Estimate | None) -> dict[str, Any] | None:
    if value is None:
        return None
    return {"value": _finite(value.value), "interval": _interval(value.interval)}


def _interval(interval: Interval) -> list[float | None]:
    return [_finite(interval.low), _finite(interval.high)]


def _finite(value: float) -> float | None:
    return value if isfinite(value) else None


def trials_as_csv(report: Report) -> str:
    """Return one line a trial. Nothing in it can be taken for a formula by a spreadsheet."""
    out = io.StringIO(newline="")
    # Every text in quotes: where `;` or a tab parts cells, nothing in one can begin another.
    table = csv.writer(out, quoting=csv.QUOTE_NONNUMERIC)
    table.writerow(_COLUMNS)
    for trial in report.trials:
        fields = trial.model_dump(mode="json")
        fields["milestones_passed"] = sum(m.passed for m in trial.milestones)
        fields["milestones"] = " ".join(f"{m.name}={'yes' if m.passed else 'no'}" for m in trial.milestones)
        fields["hurdles"] = " ".join(f"{hurdle.name}={hurdle.dose}" for hurdle in trial.hurdles)
        fields["canaries"] = " ".join(dict.fromkeys(f"{touch.thing}={touch.how}" for touch in trial.canaries))
        table.writerow([_cell(fields[column]) for column in _COLUMNS])
    return out.getvalue()


def _cell(value: object) -> object:
    return untrusted.csv_cell(value) if isinstance(value, str) else value
