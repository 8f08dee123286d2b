"""What has happened in an errand so far: what was read, what was done, what stands in the way."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from scaffold.models.simulated.errands.facts import Facts
from scaffold.models.simulated.errands.recipe import Snag
from scaffold.models.simulated.habits import MOST_TRIES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from scaffold.models.simulated.errands.recipe import Look, Recipe, Step
    from scaffold.models.simulated.reading import Act, View

__all__ = ["Account", "Trouble", "labelled"]


class Attempt(NamedTuple):
    """When something was tried last, and whether it went well."""

    at: int
    well: bool


@dataclass(kw_only=True)
class Trouble:
    """A snag that this world turned out to have."""

    snag: Snag
    about: Mapping[str, str]
    shown: int = -1
    """When an error told of it last; never, where it was only noticed in passing."""
    mended: dict[int, int] = field(default_factory=dict)
    """Mending call -> when it went well last."""

    def __str__(self) -> str:
        return labelled(self.snag.name, self.about)

    def mend(self, number: int) -> str:
        """How the subject calls the mending call of this number."""
        return labelled(f"{self.snag.name}/{number}", self.about)


def labelled(name: str, item: Mapping[str, str]) -> str:
    """Name one of several by its record."""
    return " ".join([name, *(value.replace("\n", " ") for value in item.values() if value)])


class Account:
    """Made anew from the conversation for every answer, by going through the acts in order."""

    def __init__(self, recipe: Recipe, view: View) -> None:
        self.recipe = recipe
        self.facts = Facts(recipe.inferred)
        self.facts.learn(recipe.facts, view.instruction)
        self.troubles: dict[str, Trouble] = {}
        self.last_failure: Act | None = None
        self._attempts: dict[str, Attempt] = {}
        self._mends: dict[str, int] = {}
        self._undone: dict[str, int] = {}
        self._mended_at = -1
        self._looks = {look.name: look for look in recipe.looks}
        self._steps = {step.name: step for step in recipe.steps}
        for index, act in enumerate(view.acts):
            self._take(index, act)

    # What the subject asks of it.

    def tried(self, label: str) -> bool:
        """Whether a look was taken or a step done, well or not."""
        return label in self._attempts

    def knows(self, look: str) -> bool:
        """Whether a look was taken and showed something."""
        attempt = self._attempts.get(look)
        return attempt is not None and attempt.well

    def due(self, label: str, step: str = "") -> bool:
        """Whether something is to be done: for the first time, or again since something was mended."""
        attempt = self._attempts.get(label)
        if attempt is None:
            return True
        if self._undone.get(step, -1) > attempt.at:
            return True
        return not attempt.well and self._mended_at > attempt.at

    def done(self, label: str) -> bool:
        """Whether a step went well when it was done last."""
        attempt = self._attempts.get(label)
        return attempt is not None and attempt.well

    def items(self, each: str) -> tuple[dict[str, str], ...]:
        """What a look or step is to be done for, one by one."""
        return self.facts.records(each) if each else ({},)

    def open(self) -> list[Trouble]:
        """Everything noticed and not mended, in the order in which mending makes sense."""
        order = [snag.name for snag in self.recipe.snags]
        left = [each for each in self.troubles.values() if self._matters(each) and not self._is_mended(each)]
        return sorted(left, key=lambda t: order.index(t.snag.name) if t.snag.name in order else len(order))

    def begun(self, trouble: Trouble) -> bool:
        """Whether mending has begun since the trouble was shown last."""
        looks = (self._attempts[look].at for look in trouble.snag.needs if look in self._attempts)
        return any(index > trouble.shown >= 0 for index in (*trouble.mended.values(), *looks))

    def next_mend(self, trouble: Trouble) -> int | None:
        """Return the number of the mending call that is due; None where it was tried too often."""
        for number in range(len(trouble.snag.mends)):
            if trouble.mended.get(number, -2) <= trouble.shown:
                return number if self._mends.get(trouble.mend(number), 0) < MOST_TRIES else None
        return None

    def _matters(self, trouble: Trouble) -> bool:
        concerns = trouble.snag.concerns
        return concerns not in trouble.about or trouble.about[concerns] == self.facts.value(concerns)

    def _is_mended(self, trouble: Trouble) -> bool:
        if not trouble.snag.mends:
            return all(self.tried(look) for look in trouble.snag.needs) and self.begun(trouble)
        numbers = range(len(trouble.snag.mends))
        return all(trouble.mended.get(number, -2) > trouble.shown for number in numbers)

    # How it comes about.

    def _take(self, index: int, act: Act) -> None:
        name, _, _ = act.detail.partition(" ")
        match act.intent:
            case "Look" if name in self._looks:
                self._look(index, act, self._looks[name])
            case "Do" if name in self._steps:
                self._do(index, act, self._steps[name])
            case "Mend":
                self._mend(index, act)

    def _look(self, index: int, act: Act, look: Look) -> None:
        self._attempts[act.detail] = self._attempts[look.name] = Attempt(index, well=not act.failed)
        self.facts.learn(look.facts, act.result)
        if act.failed:
            self.last_failure = act
            self._blame(index, act.result)
        for snag in self.recipe.snags:
            if look.name in snag.noticed:
                for about in _matches(snag.noticed[look.name], act.result):
                    self._meet(snag, about)
        if any(look.name in trouble.snag.needs for trouble in self.troubles.values()):
            self._mended_at = index

    def _do(self, index: int, act: Act, step: Step) -> None:
        well = not act.failed and (not step.right or re.search(step.right, act.result) is not None)
        self._attempts[act.detail] = Attempt(index, well)
        self.facts.learn(step.facts, act.result)
        if not well:
            self.last_failure = act
            if not self._blame(index, act.result):
                unclear = Snag(name="unclear", signs=(), mends=(), needs=step.known_from)
                self._meet(unclear, {"step": act.detail}).shown = index

    def _mend(self, index: int, act: Act) -> None:
        self._mends[act.detail] = self._mends.get(act.detail, 0) + 1
        for trouble in self.troubles.values():
            for number in range(len(trouble.snag.mends)):
                if trouble.mend(number) != act.detail:
                    continue
                self.facts.learn(trouble.snag.facts, act.result)
                if not act.failed:
                    trouble.mended[number] = index
                    self._mended_at = index
                    self._undone.update(dict.fromkeys(trouble.snag.undoes, index))
        self._blame(index, act.result)

    def _blame(self, index: int, text: str) -> bool:
        """Take from an error what it says about its cause."""
        found = [
            (snag, about)
            for snag in self.recipe.snags
            for sign in snag.signs
            for about in _matches(sign, text)
        ]
        for snag, about in found:
            self._meet(snag, about).shown = index
        return bool(found)

    def _meet(self, snag: Snag, about: Mapping[str, str]) -> Trouble:
        trouble = Trouble(snag=snag, about=about)
        return self.troubles.setdefault(str(trouble), trouble)


def _matches(pattern: str, text: str) -> Iterator[dict[str, str]]:
    for match in re.finditer(pattern, text, re.MULTILINE):
        yield {name: value for name, value in match.groupdict().items() if value is not None}
