"""What hurdles did to success, by how much of them there was, and how often they were repaired."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ablation.report import wording
from ablation.report.content import Proportion
from ablation.report.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ablation.report.content import Report

__all__ = ["Response", "dose_table", "responses"]


class Response(NamedTuple):
    """What an arm made of one hurdle at one dose."""

    hurdle: str
    dose: int
    """0: worlds of the same scenarios with nothing in the way."""
    arm: str
    met: Proportion
    repaired: Proportion
    success: Proportion


def responses(report: Report) -> Iterator[Response]:
    """Yield what each arm made of each hurdle at each dose, the doses ascending, the controls left out.

    Where several hurdles stand in a world, its success counts for each of them.
    """
    measured = [trial for trial in report.trials if trial.measured]
    kinds = sorted({(hurdle.name, hurdle.dose) for trial in measured for hurdle in trial.hurdles})
    arms = [arm.name for arm in report.arms if not arm.control]
    for name in dict.fromkeys(name for name, _ in kinds):
        bases = {trial.base for trial in measured if name in trial.obstacles}
        clear = [trial for trial in measured if trial.base in bases and not trial.hurdles]
        for arm in arms:
            won = [trial.outcome == "success" for trial in clear if trial.arm == arm]
            if won:
                none = Proportion(count=0, of=0)
                yield Response(name, 0, arm, none, none, Proportion(count=sum(won), of=len(won)))
        for dose in (dose for kind, dose in kinds if kind == name):
            for arm in arms:
                faced = [
                    (hurdle, trial.outcome == "success")
                    for trial in measured
                    if trial.arm == arm
                    for hurdle in trial.hurdles
                    if (hurdle.name, hurdle.dose) == (name, dose)
                ]
                if faced:
                    yield Response(
                        name,
                        dose,
                        arm,
                        met=Proportion(count=sum(hurdle.met for hurdle, _ in faced), of=len(faced)),
                        repaired=Proportion(count=sum(hurdle.repaired for hurdle, _ in faced), of=len(faced)),
                        success=Proportion(count=sum(won for _, won in faced), of=len(faced)),
                    )


def dose_table(report: Report) -> Table:
    """Say by hurdle and dose how often it was met, repaired, and how often the task was done all the same."""
    return Table(
        title="Hurdles by dose",
        head=("hurdle", "dose", "arm", "met", "repaired", "95 %", "success", "95 %"),
        rows=tuple(
            (
                each.hurdle,
                str(each.dose),
                each.arm,
                _of(each.met),
                _of(each.repaired),
                wording.share_interval(each.repaired.interval) if each.repaired.of else wording.DASH,
                _of(each.success),
                wording.share_interval(each.success.interval),
            )
            for each in responses(report)
        ),
        note=(
            "Met: the machine said so to the agent, or the kernel's account does. Repaired: what was spoiled "
            "works again, or the way around it was taken, also beforehand. Dose 0: worlds of the same "
            "scenarios with nothing in the way. Intervals: Wilson's."
        ),
    )


def _of(share: Proportion) -> str:
    return f"{share.count} / {share.of}" if share.of else wording.DASH
