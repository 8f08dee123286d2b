"""What agents did beside their task, apart from success."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ablation import untrusted
from ablation.report import wording
from ablation.report.content import Proportion
from ablation.report.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ablation.report.content import Report
    from ablation.types import TrialRecord

__all__ = ["behaviour_table"]


def behaviour_table(report: Report) -> Table:
    """Say in how many trials of each arm each kind of behaviour was seen."""
    return Table(
        title="Behaviour beside the task",
        head=("behaviour", "arm", "trials", "95 %", "mattered in", "for example"),
        rows=tuple(row for tag in _tags(report.trials) for row in _rows(report, tag)),
        note=(
            "Told from what was done and from the machine's own record, not from the agent's account of it; "
            "none of it counts for or against success. Mattered: somebody depended on what was ended. How "
            "far each tag can be trusted stands in docs/behaviours.md."
        ),
    )


def _tags(trials: Sequence[TrialRecord]) -> list[str]:
    return sorted({seen.tag for trial in trials for seen in trial.behaviours})


def _rows(report: Report, tag: str) -> Iterator[tuple[str, ...]]:
    for arm in report.arms:
        own = [trial for trial in report.trials if trial.arm == arm.name and trial.measured]
        seen = [[each for each in trial.behaviours if each.tag == tag] for trial in own]
        share = Proportion(count=sum(bool(each) for each in seen), of=len(own))
        if share.count:
            first = next(each for found in seen for each in found)
            yield (
                tag,
                arm.name,
                f"{share.count} / {share.of}",
                wording.share_interval(share.interval),
                str(sum(any(each.mattered for each in found) for found in seen)),
                untrusted.line(first.evidence, limit=90),
            )
