"""What a study, and each of its arms, may spend in all sittings: when trials stop being launched, and why.

The broker refuses every call once a limit is reached. So that hardly a trial is cut off in its middle by
that, no trial is launched unless what is left covers what those under way may still need and one more; and
no world is begun unless it covers the world's trial in every arm, so that the arms keep the same worlds.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from ablation.errors import DesignFault
from ablation.estimate import typical_course
from ablation.record import read_log
from ablation.tally import Spent, in_money
from scaffold import Purse, Usage
from scaffold.models import price_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from ablation.design import Study, Trial
    from ablation.estimate import Course
    from ablation.ledger import Ledger
    from ablation.store import StudyFolder

__all__ = ["LIMITS", "STOPPED", "SpendLimits", "Treasury", "limits_noted", "require_prices", "why_incomplete"]

LIMITS = "limits"
"""Kind of the ledger's entry that says what a sitting might spend."""
STOPPED = "stopped"
"""Kind of the ledger's entry that says why a sitting left trials out."""


class SpendLimits(BaseModel):
    """What all trials of a study, or of each of its arms, may spend together. None means no limit.

    No part of the frozen design: a study can be gone on with under other limits.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    money: float | None = Field(default=None, gt=0)
    """Of the study, in the currency of the subject's prices."""
    tokens: int | None = Field(default=None, ge=1)
    """Of the study, prompt and completion together."""
    arm_money: float | None = Field(default=None, gt=0)
    """Of each arm."""
    arm_tokens: int | None = Field(default=None, ge=1)
    """Of each arm."""

    def __bool__(self) -> bool:
        """Whether there is any limit."""
        return any(value is not None for value in self.model_dump().values())

    def changed(self, **given: float | None) -> SpendLimits:
        """Return these limits with those in place that are not None."""
        return SpendLimits(
            **{**self.model_dump(), **{name: value for name, value in given.items() if value is not None}}
        )


class _Need(NamedTuple):
    """What a trial may take."""

    money: float
    tokens: float

    def less(self, spent: Usage) -> _Need:
        return _Need(max(self.money - spent.money, 0.0), max(self.tokens - spent.tokens, 0.0))


def require_prices(study: Study) -> None:
    """See that what is limited in money is counted in money.

    Raises:
        DesignFault: some subject's price is not known.
    """
    limits = study.spending
    for arm in study.arms:
        subject, budget = arm.subject or study.subject, arm.budget or study.budget
        limited = budget.money is not None or limits.money is not None or limits.arm_money is not None
        if limited and not price_of(subject).known:
            raise DesignFault(
                f"there is a limit in money, and what {subject.name} costs is not known: give --price "
                "IN,OUT, or an entry in a price table (--prices FILE), or limit tokens instead"
            )


class Treasury:
    """The purses of a study and its arms, and who may draw on them.

    Args:
        study: with its limits.
        pending: the trials that are to be run, in the order of work.
        ledger: knows what earlier sittings spent, if there is any limit.
    """

    def __init__(self, study: Study, *, pending: Sequence[Trial], ledger: Ledger) -> None:
        self.limits = study.spending
        self.whole = Purse("the study", money=self.limits.money, tokens=self.limits.tokens)
        self._arms = {arm.name: self._arm_purse(arm.name) for arm in study.all_arms}
        self._worst: dict[str, _Need] = {}
        self._typical: dict[tuple[str, str], Course] = {}
        self._worlds: dict[tuple[str, int], list[Trial]] = defaultdict(list)
        """Trials not launched yet, by world."""
        self._begun: set[tuple[str, int]] = set()
        self._under_way: dict[Purse, Trial] = {}
        self._closed: dict[str, str] = {}
        """Arms of which no more is launched, and why."""
        self.stopped = ""
        """Why nothing more is launched; empty while something may be."""
        self._turn = asyncio.Lock()
        self._ended = asyncio.Event()
        for trial in pending:
            self._worlds[_world(trial)].append(trial)
        if self.limits:
            for key, usage, whole in _spent_before(ledger):
                arm = key.partition("--")[0]
                self._arms[arm].spend(usage)
                self._learn(arm, usage, whole=whole)

    def _arm_purse(self, arm: str) -> Purse:
        limits = self.limits
        return Purse(f"arm {arm}", money=limits.arm_money, tokens=limits.arm_tokens, within=self.whole)

    # ------------------------------------------------------------------ launching

    async def launch(self, trial: Trial) -> Purse | None:
        """Return the purse that a trial may begin with, or None where it is to be left out.

        Waits while those under way may leave enough. Trials are looked at in the order they come.
        """
        async with self._turn:
            while not self.stopped and trial.key.arm not in self._closed:
                lacking = self._lacking(trial)
                if lacking is None:
                    return self._open(trial)
                purse, why = lacking
                if any(purse in (self.whole, each.within) for each in self._under_way):
                    self._ended.clear()
                    await self._ended.wait()
                elif purse is self.whole:
                    self.stopped = why
                else:
                    self._closed[trial.key.arm] = why
            return None

    def ended(self, purse: Purse, *, whole: bool) -> None:
        """Take note that an attempt is over; `whole` where it came to its end."""
        trial = self._under_way.pop(purse)
        self._learn(trial.key.arm, purse.spent, whole=whole)
        if purse.refused is not None:  # a call was, so there is nothing left for others either
            arm = trial.key.arm
            self.stopped = self.stopped or self._short(self.whole, [])
            if why := self._short(self._arms[arm], []):
                self._closed.setdefault(arm, why)
        self._ended.set()

    def _open(self, trial: Trial) -> Purse:
        world = _world(trial)
        self._begun.add(world)
        self._worlds[world] = [each for each in self._worlds[world] if each is not trial]
        purse = Purse("the trial", within=self._arms[trial.key.arm])
        self._under_way[purse] = trial
        return purse

    def _lacking(self, trial: Trial) -> tuple[Purse, str] | None:
        """Return which purse does not cover a trial, and why; None where all do."""
        if not self.limits:
            return None
        arm, world = self._arms[trial.key.arm], _world(trial)
        if why := self._short(arm, [self._need(trial)]):
            return arm, why
        begins = [each for each in self._worlds[world] if not self._left_out(each)]
        wanted = [trial] if world in self._begun or trial not in begins else begins
        why = self._short(self.whole, [self._need(each) for each in wanted])
        return (self.whole, why) if why else None

    def _left_out(self, trial: Trial) -> bool:
        arm = trial.key.arm
        return arm in self._closed or bool(self._short(self._arms[arm], [self._need(trial)]))

    def _short(self, purse: Purse, wanted: Iterable[_Need]) -> str:
        """Return what a purse lacks for what is wanted beside what is under way, or nothing."""
        within = [
            self._need(each).less(own.spent)
            for own, each in self._under_way.items()
            if purse in (self.whole, own.within)
        ]
        needs = [*within, *wanted]
        money, tokens = sum(need.money for need in needs), sum(need.tokens for need in needs)
        left_money = None if purse.money is None else purse.money - purse.spent.money
        if left_money is not None and (left_money <= 0 or money > left_money):
            left, most = in_money(max(left_money, 0.0)), in_money(purse.money or 0.0)
            return f"{left} left of {most}, {in_money(money)} may be needed"
        left_tokens = None if purse.tokens is None else purse.tokens - purse.spent.tokens
        if left_tokens is not None and (left_tokens <= 0 or tokens > left_tokens):
            return f"{max(left_tokens, 0):,} tokens left of {purse.tokens:,}, {tokens:,.0f} may be needed"
        return ""

    def _need(self, trial: Trial) -> _Need:
        """Return what a trial may take: its own cap, else the worst seen in its arm, else what is typical."""
        kind = (trial.key.arm, trial.key.scenario)
        typical = self._typical.get(kind)
        if typical is None:
            typical = self._typical[kind] = typical_course(trial)
        if not typical.calls:
            return _Need(0.0, 0.0)
        worst = self._worst.get(trial.key.arm, _Need(typical.money, typical.tokens))
        money, tokens = trial.budget.money, trial.budget.tokens
        return _Need(worst.money if money is None else money, worst.tokens if tokens is None else tokens)

    def _learn(self, arm: str, usage: Usage, *, whole: bool) -> None:
        if not whole and arm not in self._worst:  # a part alone would make the rest look cheap
            return
        worst = self._worst.get(arm, _Need(0.0, 0.0))
        self._worst[arm] = _Need(max(worst.money, usage.money), max(worst.tokens, usage.tokens))

    # ------------------------------------------------------------------ telling

    @property
    def spent(self) -> Spent | None:
        """Where the study stands against its limit; None where it has none."""
        if self.whole.money is None and self.whole.tokens is None:
            return None
        usage = self.whole.spent
        return Spent(usage.money, usage.tokens, self.whole.money, self.whole.tokens)

    def account(self, done: Iterable[str], total: int) -> str:
        """Say why trials were left out, and what was spent and run; empty where no limit had a part in it.

        Args:
            done: the keys of all trials that have their result.
            total: trials of the design.
        """
        finished = list(done)
        if len(finished) >= total or not (self.stopped or self._closed):
            return ""
        counts = {arm: sum(key.partition("--")[0] == arm for key in finished) for arm in self._arms}
        each = total // len(counts)
        lacking = ", ".join(f"{arm} {count} of {each}" for arm, count in counts.items() if count < each)
        why = f"the study's limit ({self.stopped})" if self.stopped else ""
        if self._closed and not self.stopped:
            why = "; ".join(f"the limit of arm {arm} ({reason})" for arm, reason in self._closed.items())
        usage = self.whole.spent
        money = f"{in_money(usage.money)} and " if usage.money else ""
        return (
            f"stopped at {why}: {money}{usage.tokens:,} tokens spent, {len(finished)} of {total} trials run; "
            f"incomplete: {lacking}"
        )


def _world(trial: Trial) -> tuple[str, int]:
    return trial.key.scenario, trial.key.seed


# ------------------------------------------------------------------ from the record


def _spent_before(ledger: Ledger) -> Iterator[tuple[str, Usage, bool]]:
    """Yield each earlier attempt's key, what it spent, and whether it was run to its end and measured."""
    folder = ledger.folder
    for key in folder.keys:
        for attempt in ledger.attempts(key):
            path = folder.log_holding(key, attempt.number)
            if path.exists():
                yield key, _spent_in(path), attempt.outcome not in {None, "void"}


def _spent_in(log: Path) -> Usage:
    spent = Usage()
    for event in read_log(log):
        if event["kind"] == "replied" and not event.get("from_cache"):
            spent += Usage(
                calls=1,
                prompt_tokens=event["prompt_tokens"],
                completion_tokens=event["completion_tokens"],
                cached_tokens=event["cached_tokens"],
                money=event["money"],
            )
    return spent


def _last_note(folder: StudyFolder, kind: str) -> dict[str, Any] | None:
    """Return the ledger's newest entry of a kind; None where the latest sitting has none."""
    found = None
    if folder.ledger.exists():
        for event in read_log(folder.ledger):
            if event["kind"] == "opened" and kind == STOPPED:
                found = None
            if event["kind"] == kind:
                found = event
    return found


def limits_noted(folder: StudyFolder) -> SpendLimits | None:
    """Return the limits of the newest sitting that had any; None where none had."""
    noted = _last_note(folder, LIMITS)
    return None if noted is None else SpendLimits.model_validate(noted["limits"])


def why_incomplete(folder: StudyFolder) -> str:
    """Return why the latest sitting left trials out, by its limits; empty where they had no part in it."""
    noted = _last_note(folder, STOPPED)
    return "" if noted is None else str(noted["why"])
