"""The playbook that goes about any errand as its recipe says."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scaffold.models.simulated.errands.account import Account, Trouble, labelled
from scaffold.models.simulated.playbook import Move
from scaffold.models.simulated.turn import Turn

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from scaffold.models.simulated.errands.facts import Call
    from scaffold.models.simulated.errands.recipe import Look, Recipe, Step
    from scaffold.models.simulated.profiles import Mind
    from scaffold.models.simulated.reading import View

__all__ = ["Errand"]


@dataclass(frozen=True)
class Errand:
    """Looks, does the steps, mends what stands in the way, and says what has become of it."""

    recipe: Recipe

    def fits(self, instruction: str) -> bool:
        """Fit what the recipe's words fit."""
        return re.search(self.recipe.asked, instruction, re.IGNORECASE) is not None

    def next(self, view: View, mind: Mind) -> Move:
        """Decide the next move from everything that has happened."""
        return next(_Turn(self.recipe, view, mind).moves())


class _Turn(Turn):
    """One decision: the first move that is called for."""

    def __init__(self, recipe: Recipe, view: View, mind: Mind) -> None:
        super().__init__(view, mind)
        self.recipe = recipe
        self.account = Account(recipe, view)

    # Looking around.

    def _looks(self) -> Iterator[Move]:
        for look in self.recipe.looks:
            if self.habits.looks(look.name, obvious=look.obvious):
                yield from self._look(look)

    def _look(self, look: Look) -> Iterator[Move]:
        for item in self.account.items(look.each):
            label = labelled(look.name, item)
            if not self.account.tried(label):
                yield from self._call(f"Look: {label}", look.call, item)

    def _steps(self) -> Iterator[Move]:
        yield from self._looks_again()
        for step in self.recipe.steps:
            yield from self._do(step)

    def _looks_again(self) -> Iterator[Move]:
        """Looks that failed are taken again once something was mended."""
        for look in self.recipe.looks:
            for item in self.account.items(look.each):
                label = labelled(look.name, item)
                if self.account.tried(label) and self.account.due(label):
                    yield from self._call(f"Look: {label}", look.call, item)

    def _findings(self) -> str:
        names = [name for look in self.recipe.looks for name in look.facts]
        lines = [
            f"- {name}: {' '.join(record.values())}"
            for name in dict.fromkeys([*self.recipe.facts, *names])
            for record in self.account.facts.records(name)
        ]
        lines += [f"- In the way: {trouble}." for trouble in self.account.open()]
        return "\n".join(["What I found:", *lines])

    # What it does not forget.

    def _plan(self) -> Move:
        included = [
            step.text
            for step in self.recipe.steps
            if all(map(self.account.knows, step.known_from))
            if step.certain or self.habits.plans(step.name, skill=step.skill)
        ]
        lines = [f"{number}. {text}" for number, text in enumerate(included, start=1)]
        return Move(say="\n".join(["The plan:", *lines, f"{len(lines) + 1}. Finish."]))

    def _remembers(self, step: Step) -> bool:
        return step.certain or self.habits.remembers(step.name, step.text, skill=step.skill)

    # The steps themselves.

    def _do(self, step: Step) -> Iterator[Move]:
        for item in self.account.items(step.each):
            label = labelled(step.name, item)
            if not self.account.due(label, step.name):
                continue
            if self._remembers(step):
                yield from self._call(f"Do: {label}", step.call, item)
            if step.instead is not None:
                yield from self._call(f"Do: {label}", step.instead, item)

    def _finish(self) -> Move:
        believes = self._problem() is None
        done = self.account.facts.fill(self.recipe.done, {}) or "What was asked is done."
        summary = done if believes or not self.habits.admits() else f"It is not done: {self._problem()}."
        return Move(say="Finish: done", tool="finish", arguments={"summary": summary})

    def _problem(self) -> str | None:
        """What it knows to be amiss."""
        if left := self.account.open():
            return str(left[0])
        undone = (
            labelled(step.name, item)
            for step in self.recipe.steps
            if step.certain
            for item in self.account.items(step.each)
        )
        return next((label for label in undone if not self.account.done(label)), None)

    # Mending.

    def _mends(self) -> Iterator[Move]:
        for trouble in self.account.open():
            if self._understands(trouble):
                yield from self._mend(trouble)
            elif trouble.shown >= 0 and self.account.last_failure and self.habits.persists(str(trouble)):
                yield self._again(trouble)

    def _understands(self, trouble: Trouble) -> bool:
        if self.account.begun(trouble):
            return True
        if trouble.shown < 0:
            return self.habits.heeds(str(trouble))
        seen = trouble.snag.evident_from
        return self.habits.understands(str(trouble), evident=not seen or self.account.knows(seen))

    def _mend(self, trouble: Trouble) -> Iterator[Move]:
        for look in self.recipe.looks:
            if look.name in trouble.snag.needs:
                yield from self._look(look)
        number = self.account.next_mend(trouble)
        if number is not None:
            yield from self._call(f"Mend: {trouble.mend(number)}", trouble.snag.mends[number], trouble.about)

    def _again(self, trouble: Trouble) -> Move:
        act = self.account.last_failure
        assert act is not None
        return Move(
            say=f"{act.intent}: {act.detail} (again: {trouble})", tool=act.tool, arguments=act.arguments
        )

    def _diagnosis(self) -> str:
        left = self.account.open()
        return f"I do not see the cause: {left[0]}." if left else "The cause is mended."

    # How it uses its hands.

    def _call(self, say: str, call: Call, item: Mapping[str, str]) -> Iterator[Move]:
        arguments = call.filled(self.account.facts, item)
        if arguments is not None:
            yield Move(say=say, tool=call.tool, arguments=arguments)
