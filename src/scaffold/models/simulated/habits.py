"""How a mind's skills come to bear on what it does, and where a scaffold enters.

What a scaffold contributes enters in three places and nowhere else: being prompted to explore makes looks
more likely, having a plan makes steps and findings less likely to be forgotten, and being prompted to
repair makes the cause of an error more likely to be understood. The draws stay the same in every arm.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from scaffold.models.simulated.profiles import Mind
    from scaffold.models.simulated.reading import View

__all__ = ["Habits"]

MOST_TRIES = 3
TRIES_IN_A_ROW = 2


@dataclass(frozen=True, kw_only=True)
class Habits:
    """A mind, in the situation that a scaffold has brought it into."""

    mind: Mind
    view: View

    def looks(self, look: str, *, obvious: bool = False) -> bool:
        """Whether it takes a look; what is obvious it hardly needs to be prompted to look at."""
        exploration = self.mind.profile.exploration
        prompted = self.view.phase == "explore"
        likely = 0.6 + 0.4 * exploration if prompted else (0.85 if obvious else 0.25) * exploration
        return self.mind.does(f"look {look}", likely)

    def plans(self, step: str, *, skill: Literal["foresight", "care"] = "foresight") -> bool:
        """Whether a step is in the plan that it writes."""
        likely = max(0.6 + 0.4 * self.mind.profile.foresight, self._unplanned(skill))
        return self.mind.does(f"remember {step}", likely)

    def remembers(self, step: str, text: str, *, skill: Literal["foresight", "care"] = "foresight") -> bool:
        """Whether it thinks of a step that has this text in a plan: as planned, or by itself."""
        if self.view.plan is not None and text in self.view.plan:
            return True
        return self.mind.does(f"remember {step}", self._unplanned(skill))

    def _unplanned(self, skill: Literal["foresight", "care"]) -> float:
        profile = self.mind.profile
        return 0.15 + 0.5 * (profile.care if skill == "care" else profile.foresight)

    def heeds(self, finding: str, *, weight: float = 1.0) -> bool:
        """Whether it bears in mind something it has seen and that no error has shown."""
        plan = 0.35 if self.view.plan else 0.18
        return self.mind.does(f"heed {finding}", weight * plan * self.mind.profile.foresight)

    def understands(self, trouble: str, *, evident: bool) -> bool:
        """Whether it sees what is behind an error; more easily where it has looked at how things are."""
        repair = self.mind.profile.repair * (1.0 if self.view.phase == "repair" else 0.1)
        tries = len(self._tries(trouble))
        return self.mind.does(f"understand {trouble} {tries}", repair if evident else 0.6 * repair)

    def persists(self, trouble: str) -> bool:
        """Whether it would do again what has failed, without having understood why."""
        tries = self._tries(trouble)
        return len(tries) < MOST_TRIES and tries.count(len(self.view.phases)) < TRIES_IN_A_ROW

    def admits(self) -> bool:
        """Whether it says so when it has not succeeded."""
        return self.mind.does("honest", self.mind.profile.honesty)

    def _tries(self, trouble: str) -> list[int]:
        """Phases in which it only tried again."""
        return [act.phase for act in self.view.acts if act.again == trouble]
