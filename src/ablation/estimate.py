"""What a study is going to cost, told before it starts: tokens, money, and, from a pilot, time.

Each call sends the whole conversation again, so the prompt tokens of a trial grow with the square of its
calls: with a first prompt of P tokens and G more for each call, n calls send n * P + G * n * (n - 1) / 2.
P is measured (the scaffold's prompts, the instruction, the tools' schemas), n is what the scenario says a
competent subject takes, and G is a stated guess. An earlier study or a pilot knows better: its means take
their place.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, fields
from statistics import fmean, pstdev
from typing import TYPE_CHECKING, Any

import orjson

from scaffold import Nothing, Prompt, Reference
from scaffold.models import price_of
from scaffold.models.encoding import tool_schemas
from scaffold.tools import FINISH

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ablation.design import Study, Trial
    from ablation.types import TrialRecord
    from scaffold.models import Price
    from scaffold.types import Budget

__all__ = ["ArmEstimate", "Course", "Estimate", "estimate_study", "typical_course"]

BYTES_PER_TOKEN = 4
ANSWER = 100
"""Tokens of one answer of a subject that does not think at length."""
RESULT = 150
"""Tokens that an answer's calls, their results and what frames them add to the conversation beside it."""
HASTE = 3
"""In the worst case, how many times as much each answer and each result is."""
UNSEEN = 1500
"""Tokens of the first prompt of a scaffold that does not show its prompts and tools."""


@dataclass(frozen=True, kw_only=True)
class Course:
    """What a trial, or several, ask and are answered. Addable."""

    calls: float = 0.0
    prompt: float = 0.0
    """Tokens."""
    repeated: float = 0.0
    """Part of `prompt` that the call before had sent already: what a server's cache may hold."""
    completion: float = 0.0
    """Tokens."""
    money: float = 0.0
    """Without any help from a cache."""
    money_cached: float = 0.0
    """With all that is repeated found in the cache."""

    @property
    def tokens(self) -> float:
        """Prompt and completion together."""
        return self.prompt + self.completion

    def __add__(self, other: Course) -> Course:
        return Course(**{f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self)})

    def __mul__(self, times: float) -> Course:
        return Course(**{f.name: getattr(self, f.name) * times for f in fields(self)})


@dataclass(frozen=True, kw_only=True)
class ArmEstimate:
    """What the trials of an arm are going to cost together."""

    arm: str
    trials: int
    typical: Course
    worst: Course
    """Every trial runs until a cap of its budget."""
    known: bool
    """The price of the arm's subject is known."""
    spread: float | None = None
    """Standard deviation of a trial's tokens in the pilot."""
    seconds: float | None = None
    """Of machine time, one trial after the other, by the pilot."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a study is going to cost."""

    arms: tuple[ArmEstimate, ...]
    basis: str
    """What it was worked out from, in words."""

    @property
    def trials(self) -> int:
        """Of all arms."""
        return sum(arm.trials for arm in self.arms)

    @property
    def typical(self) -> Course:
        """Of all arms."""
        return sum((arm.typical for arm in self.arms), Course())

    @property
    def worst(self) -> Course:
        """Of all arms."""
        return sum((arm.worst for arm in self.arms), Course())

    @property
    def known(self) -> bool:
        """Every price is known that anything is going to be asked at."""
        return all(arm.known or not arm.worst.calls for arm in self.arms)

    @property
    def seconds(self) -> float | None:
        """Of machine time, one trial after the other; None without a pilot."""
        told = [arm.seconds for arm in self.arms if arm.seconds is not None]
        return sum(told) if told else None


def estimate_study(
    study: Study, *, pilot: Sequence[TrialRecord] = (), seconds: Mapping[str, float] | None = None
) -> Estimate:
    """Work out what a study is going to cost.

    Args:
        study: what is to be run.
        pilot: finished trials of an earlier study, to go by. Arms and scenarios are found by name; for what
            the pilot does not have, the mean of what it has in the scenario, then of all, stands in.
        seconds: how long each of the pilot's trials took with its machine, by key.
    """
    seen = _Pilot([record for record in pilot if record.measured], seconds or {})
    trials: dict[str, list[Trial]] = {arm.name: [] for arm in study.all_arms}
    for trial in study.trials():
        trials[trial.key.arm].append(trial)
    basis = (
        f"the means of {len(seen.records)} measured trials of an earlier study"
        if seen.records
        else "what the scenarios typically take, the prompts and tools as they are, "
        f"{BYTES_PER_TOKEN} bytes a token, and for each call {ANSWER} tokens answered and {RESULT} more of "
        f"calls and results; in the worst case every step the budget allows, with {HASTE} times as much each"
    )
    return Estimate(arms=tuple(_arm(name, each, seen) for name, each in trials.items()), basis=basis)


def _arm(name: str, trials: Sequence[Trial], seen: _Pilot) -> ArmEstimate:
    records = [seen.like(trial) for trial in trials]
    typical = sum(
        (
            _as_in(found, price_of(trial.subject)) if found else typical_course(trial)
            for trial, found in zip(trials, records, strict=True)
        ),
        Course(),
    )
    took = [seen.seconds(found) for found in records if found]
    own = [record for found in records[:1] for record in found]
    return ArmEstimate(
        arm=name,
        trials=len(trials),
        typical=typical,
        worst=sum(map(_worst_course, trials), Course()),
        known=all(price_of(trial.subject).known for trial in trials),
        spread=pstdev([record.tokens for record in own]) if own else None,
        seconds=sum(took) if len(took) == len(trials) else None,
    )


# ------------------------------------------------------------------ without a pilot


def typical_course(trial: Trial) -> Course:
    """Return what a trial takes if its subject is competent: the middle of what its scenario says."""
    if _asks_nobody(trial):
        return Course()
    low, high = trial.scenario.steps
    words = 1 + (getattr(trial.scaffold, "plan", None) is not None)  # the end, and a plan where there is one
    return _course(trial, calls=round((low + high) / 2) + words, times=1)


def _worst_course(trial: Trial) -> Course:
    if _asks_nobody(trial):
        return Course()
    return _course(trial, calls=trial.budget.steps, times=HASTE)


def _asks_nobody(trial: Trial) -> bool:
    return isinstance(trial.scaffold, Nothing | Reference)


def _course(trial: Trial, *, calls: int, times: int) -> Course:
    """Add call after call up to a number of them, or to the first that a budget's cap lets nothing follow."""
    price, budget, first = price_of(trial.subject), trial.budget, _first_prompt(trial)
    answer = _answer(trial) if times == 1 else max(_answer(trial), ANSWER * times)
    grown = answer + RESULT * times
    course = Course()
    for number in range(min(calls, budget.steps)):
        if _spent(course, budget):
            break
        prompt = first + number * grown
        course += _one_call(prompt, prompt - grown if number else 0.0, answer, price)
    return course


def _one_call(prompt: float, repeated: float, answer: float, price: Price) -> Course:
    whole, part, said = round(prompt), round(repeated), round(answer)
    return Course(
        calls=1,
        prompt=prompt,
        repeated=repeated,
        completion=answer,
        money=price.of(prompt=whole, completion=said),
        money_cached=price.of(prompt=whole, completion=said, cached=part),
    )


def _spent(course: Course, budget: Budget) -> bool:
    tokens = budget.tokens is not None and course.tokens >= budget.tokens
    return tokens or (budget.money is not None and course.money >= budget.money)


def _answer(trial: Trial) -> float:
    """Return how many tokens an answer has: no more than the sampling allows."""
    subject = getattr(trial.subject, "subject", trial.subject)
    longest = getattr(getattr(subject, "sampling", None), "max_tokens", None)
    return min(ANSWER, longest) if isinstance(longest, int) else ANSWER


def _first_prompt(trial: Trial) -> float:
    """Return the tokens of what every call sends: prompts, instruction, and what the tools look like."""
    scaffold, instruction = trial.scaffold, len(trial.scenario.instruction.encode())
    system = getattr(scaffold, "system", None)
    if not isinstance(system, Prompt):
        return UNSEEN + instruction / BYTES_PER_TOKEN
    faculties = getattr(scaffold, "faculties", {})
    spoken = [
        text
        for faculty in (faculties.values() if hasattr(faculties, "values") else ())
        for text in vars(faculty).values()
        if isinstance(text, Prompt)
    ]
    texts = sum(len(prompt.text.encode()) for prompt in (system, *spoken))
    tools: tuple[Any, ...] = (*getattr(scaffold, "tools", ()), FINISH)
    return (texts + instruction + len(orjson.dumps(tool_schemas(tools)))) / BYTES_PER_TOKEN


# ------------------------------------------------------------------ by a pilot


class _Pilot:
    """The trials of an earlier study, by what they are like."""

    def __init__(self, records: Sequence[TrialRecord], seconds: Mapping[str, float]) -> None:
        self.records = records
        self._seconds = seconds
        self._by: dict[tuple[str, str], list[TrialRecord]] = defaultdict(list)
        for record in records:
            for place in {(record.arm, record.scenario), (record.arm, ""), ("", record.scenario), ("", "")}:
                if place[0] or record.role == "arm":
                    self._by[place].append(record)

    def like(self, trial: Trial) -> Sequence[TrialRecord]:
        """Return the trials to go by: of the same arm and scenario, else of the nearest there are."""
        if _asks_nobody(trial) and (trial.key.arm, trial.key.scenario) not in self._by:
            return ()
        arm, scenario = trial.key.arm, trial.key.scenario
        places = ((arm, scenario), (arm, ""), ("", scenario), ("", ""))
        return next((self._by[place] for place in places if place in self._by), ())

    def seconds(self, records: Sequence[TrialRecord]) -> float:
        """Return how long such a trial took, with its machine where that is known."""
        return fmean(self._seconds.get(record.key, record.seconds) for record in records)


def _as_in(records: Sequence[TrialRecord], price: Price) -> Course:
    """Return the mean course of trials, at this price: what their server's cache held is taken as it was."""
    mean = {
        name: fmean(getattr(record, name) for record in records)
        for name in ("steps", "prompt_tokens", "cached_tokens", "completion_tokens")
    }
    prompt, cached = round(mean["prompt_tokens"]), round(mean["cached_tokens"])
    said = round(mean["completion_tokens"])
    return Course(
        calls=mean["steps"],
        prompt=mean["prompt_tokens"],
        repeated=mean["cached_tokens"],
        completion=mean["completion_tokens"],
        money=price.of(prompt=prompt, completion=said),
        money_cached=price.of(prompt=prompt, completion=said, cached=cached),
    )
