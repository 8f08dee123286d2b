"""From the records of a study's trials to its report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ablation.report.arms import contrast_hurdles, summarise_arm
from ablation.report.checks import find_warnings, planned_trials
from ablation.report.containment import check_containment
from ablation.report.content import Report
from ablation.report.effects import measure_effects
from ablation.report.scope import name_subjects, state_scope
from ablation.report.supervision import count_canaries, count_supervision
from ablation.report.wording import headline

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ablation.types import TrialRecord

__all__ = ["build_report"]


def build_report(
    records: Sequence[TrialRecord], design: Mapping[str, Any], *, incomplete: str = ""
) -> Report:
    """Analyse a study, finished or not.

    Args:
        records: one a trial, in any order.
        design: the frozen design with its digest, as `study.json` holds it.
        incomplete: why the latest sitting left trials out, if a limit had a part in it.

    Raises:
        ValueError: a trial stands twice among the records.
    """
    _refuse_doubles(records)
    arms = tuple(
        summarise_arm(arm, [record for record in records if record.arm == arm["name"]])
        for arm in design["arms"]
    )
    effects = measure_effects(arms, records)
    simulated = bool(design["subject"]["simulated"]) or any(record.simulated for record in records)
    return Report(
        study=design["name"],
        question=design.get("question", ""),
        headline=headline(arms, effects, simulated=simulated),
        simulated=simulated,
        subjects=tuple(name_subjects(design, records)),
        environment=design["environment"],
        scenarios=tuple((scenario["name"], scenario.get("summary", "")) for scenario in design["scenarios"]),
        digest=design.get("digest", ""),
        planned=planned_trials(design),
        warnings=(
            *([f"This study is incomplete: it {incomplete}."] if incomplete else []),
            *find_warnings(design, arms, records),
        ),
        arms=arms,
        effects=effects,
        hurdles=contrast_hurdles(arms, records),
        containment=check_containment(records),
        supervision=count_supervision(design, records),
        canaries=count_canaries(design, records),
        scope=state_scope(design, records, simulated=simulated),
        trials=tuple(records),
        incomplete=incomplete,
    )


def _refuse_doubles(records: Sequence[TrialRecord]) -> None:
    seen: set[str] = set()
    for record in records:
        if record.key in seen:
            raise ValueError(f"trial {record.key} stands twice among the records")
        seen.add(record.key)
