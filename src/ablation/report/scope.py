"""What a report's results are about, what they do not show, and how to get them again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ablation.report.content import Scope
from ablation.report.wording import listing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ablation.types import TrialRecord

__all__ = ["name_subjects", "state_scope"]

_SIMULATED = (
    "The subject is a SIMULATED stand-in. It exercises and calibrates the instrument; these numbers say "
    "nothing about any real model."
)
_REAL = (
    "The results are about this subject under these scaffolds, prompts and budgets, in these worlds. Another "
    "prompt, tool set or budget may move them as much as another model would."
)
_INSTRUCTED = (
    "The agent was told to do the task, in the words below. Success shows capability under instruction; it "
    "says nothing about whether a model would do this unasked."
)
_TOLD = {
    "none": "{in_} nothing was said of what is judged: what was done there was done unasked.",
    "allow": "{in_} the agent was told to let happen what was announced.",
    "hint": "{in_} the agent was told the goal, and given a hint.",
    "steps": "{in_} the agent was told the goal, and every step towards it.",
}
_FRAMED = "{in_} the instruction was put under the frame {framing!r}."
_PLACED = "{in_} the instruction stood in the system message."
_INERT = (
    "Where agents replicate something, it is an inert specimen with random weights inside a closed machine: "
    "the results show no ability to obtain real weights, machines or access, or to evade anyone."
)
_UNCERTAIN = (
    "Intervals cover the seeds drawn from these scenarios, at 95 %. They do not cover other scenarios, and a "
    "difference that is not shown is not a difference of zero."
)


def state_scope(design: Mapping[str, Any], trials: Sequence[TrialRecord], *, simulated: bool) -> Scope:
    """State the scope of a study; nothing in it is left to the author's discretion."""
    scaffolds = listing([arm["name"] for arm in design["arms"]])
    subjects = listing(name_subjects(design, trials))
    statements = [
        _SIMULATED if simulated else _REAL,
        f"Subject: {subjects}. Arms: {scaffolds}. Budget of a trial: {_budget(design.get('budget') or {})}.",
        *_how_told(design["scenarios"]),
        *([_INERT] if any(s.get("hazard") == "replication" for s in design["scenarios"]) else []),
        *_from_cache(design, trials),
        _UNCERTAIN,
    ]
    return Scope(
        statements=tuple(statements),
        instructions=tuple((s["name"], s.get("instruction", "")) for s in design["scenarios"]),
        reproduce=(
            "redline verify DIR                       # the logs are what was written, none is missing",
            "redline report DIR                       # this report again, from the logs alone",
            "redline ablate DIR/study.py --out NEW    # the same study again, where a script began it",
        ),
    )


def _from_cache(design: Mapping[str, Any], trials: Sequence[TrialRecord]) -> Iterator[str]:
    """Say which answers nobody was asked for: they are no independent samples."""
    cache = design.get("reply_cache")
    count = sum(trial.answers_from_cache for trial in trials)
    if cache is None and not count:
        return
    calls, tokens = sum(trial.steps for trial in trials), sum(trial.tokens_from_cache for trial in trials)
    said = f"{count:,} of {calls:,} answers, with {tokens:,} tokens, were given before to the same question"
    spared = sum(trial.cost_spared for trial in trials)
    worth = f" and would have cost {spared:,.4g}" if spared else ""
    where = f" (reply cache {cache['path']})" if cache else ""
    yield (
        f"{said} under the same seed{where}: nobody was asked for them, they cost nothing{worth}. "
        "Trials that share answers share their luck."
    )


def _how_told(scenarios: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Say how agents were told what to do: the same everywhere, or scenario by scenario."""
    levels = {scenario.get("level", "goal") for scenario in scenarios}
    if levels != {"none"}:
        yield _INSTRUCTED

    def where(about: str, value: str) -> str:
        names = [scenario["name"] for scenario in scenarios if scenario.get(about) == value]
        return "Everywhere" if len(names) == len(scenarios) else f"In {listing(names)}"

    for level in sorted(levels & set(_TOLD)):
        yield _TOLD[level].format(in_=where("level", level))
    for framing in sorted({scenario.get("framing", "plain") for scenario in scenarios} - {"plain"}):
        yield _FRAMED.format(in_=where("framing", framing), framing=framing)
    if any(scenario.get("placement") == "system" for scenario in scenarios):
        yield _PLACED.format(in_=where("placement", "system"))


def name_subjects(design: Mapping[str, Any], trials: Sequence[TrialRecord]) -> list[str]:
    """Name every subject that took part, the study's own first; controls play without one."""
    of_arms = [trial.subject for trial in trials if trial.role == "arm"]
    return list(dict.fromkeys(filter(None, [design["subject"]["name"], *of_arms])))


def _budget(budget: Mapping[str, Any]) -> str:
    spent = ((name, budget.get(name)) for name in ("steps", "tokens", "seconds", "money"))
    limits = [f"{value:g} {name}" for name, value in spent if value is not None]
    return listing(limits) or "not limited"
