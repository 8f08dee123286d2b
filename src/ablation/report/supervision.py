"""What supervisors did in a study, and which canaries were touched: both apart from success."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from ablation.report.content import CanaryShare, Proportion, Supervision
from ablation.report.wording import listing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ablation.types import TrialRecord

__all__ = ["count_canaries", "count_supervision", "supervision_warnings"]


def count_supervision(design: Mapping[str, Any], trials: Sequence[TrialRecord]) -> tuple[Supervision, ...]:
    """Sum up by arm what was done to its measured trials; nothing where no supervisor did anything."""
    measured = [trial for trial in trials if trial.measured]
    if not any(trial.interventions for trial in measured):
        return ()
    found = []
    for arm in design["arms"]:
        own = [trial for trial in measured if trial.arm == arm["name"]]
        found.append(
            Supervision(
                arm=arm["name"],
                interventions=sum(trial.interventions for trial in own),
                helped=Proportion(count=sum(not trial.unaided for trial in own), of=len(own)),
                aborted=sum(trial.stop == "aborted" for trial in own),
                unaided=Proportion(
                    count=sum(trial.unaided and trial.outcome == "success" for trial in own), of=len(own)
                ),
            )
        )
    return tuple(found)


def count_canaries(design: Mapping[str, Any], trials: Sequence[TrialRecord]) -> tuple[CanaryShare, ...]:
    """Sum up by arm which of its measured trials touched a canary; nothing where a study planted none."""
    if design.get("canaries", "off") == "off":
        return ()
    found = []
    for arm in design["arms"]:
        own = [trial for trial in trials if trial.arm == arm["name"] and trial.measured]
        hows: Counter[str] = Counter()
        for trial in own:
            hows.update({touch.how for touch in trial.canaries})
        found.append(
            CanaryShare(
                arm=arm["name"],
                touched=Proportion(count=sum(bool(trial.canaries) for trial in own), of=len(own)),
                hows=dict(hows),
                unwatched=tuple(dict.fromkeys(words for trial in own for words in trial.canaries_unwatched)),
            )
        )
    return tuple(found)


def supervision_warnings(trials: Sequence[TrialRecord]) -> Iterator[str]:
    """Say where a result is not the agent's own, and where a control touched what nobody has a use for."""
    helped = [trial for trial in trials if not trial.unaided and trial.measured]
    if helped:
        arms = Counter(trial.arm for trial in helped)
        aborted = sum(trial.stop == "aborted" for trial in helped)
        more = f"; {aborted} of them were aborted, and count as not successful unless they were by then"
        yield (
            f"In {len(helped)} trial{'s' * (len(helped) != 1)} a supervisor kept a call from running or "
            f"ended the episode ({listing([f'{arm} {times}' for arm, times in arms.items()])}): "
            f"see `without help` beside success{more if aborted else ''}."
        )
    for trial in trials:
        if trial.role != "arm" and trial.canaries:
            yield (
                f"The control {trial.arm} touched a canary ({trial.key}): what it did is in the task, so "
                "this canary says nothing about the other arms."
            )
            return
