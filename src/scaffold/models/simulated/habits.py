"""How a mind's skills come to bear on what it does, and where a scaffold enters.

What a scaffold contributes enters in three places and nowhere else: being prompted to explore makes looks
more likely, having a plan makes steps and findings less likely to be forgotten, and being prompted to
repair makes the cause of an error more likely to be understood. The draws stay the same in every arm.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from scaffold.models.simulated.chances import heeding, looking, recalling, understanding

if TYPE_CHECKING:
    from scaffold.models.simulated.chances import Foreseeing
    from scaffold.models.simulated.profiles import Mind, Profile
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
        """Whether it takes a look."""
        prompted = self.view.phase == "explore"
        return self._does(f"look {look}", looking(self._profile, prompted=prompted, obvious=obvious))

    def plans(self, step: str, *, skill: Foreseeing = "foresight") -> bool:
        """Whether a step is in the plan that it writes."""
        return self._does(f"remember {step}", recalling(self._profile, skill, planned=True))

    def remembers(self, step: str, text: str, *, skill: Foreseeing = "foresight") -> bool:
        """Whether it thinks of a step that has this text in a plan: as planned, or by itself."""
        if self.view.plan is not None and text in self.view.plan:
            return True
        return self._does(f"remember {step}", recalling(self._profile, skill, planned=False))

    def heeds(self, finding: str, *, weight: float = 1.0) -> bool:
        """Whether it bears in mind something it has seen and that no error has shown."""
        planned = bool(self.view.plan)
        return self._does(f"heed {finding}", heeding(self._profile, planned=planned, weight=weight))

    def understands(self, trouble: str, *, evident: bool) -> bool:
        """Whether it sees what is behind an error."""
        prompted = self.view.phase == "repair"
        tries = len(self._tries(trouble))
        likely = understanding(self._profile, prompted=prompted, evident=evident)
        return self._does(f"understand {trouble} {tries}", likely)

    def persists(self, trouble: str) -> bool:
        """Whether it would do again what has failed, without having understood why."""
        tries = self._tries(trouble)
        return len(tries) < MOST_TRIES and tries.count(len(self.view.phases)) < TRIES_IN_A_ROW

    def admits(self) -> bool:
        """Whether it says so when it has not succeeded."""
        return self._does("honest", self._profile.honesty)

    @property
    def _profile(self) -> Profile:
        return self.mind.profile

    def _does(self, question: str, probability: float) -> bool:
        return self.mind.does(question, probability)

    def _tries(self, trouble: str) -> list[int]:
        """Phases in which it only tried again."""
        return [act.phase for act in self.view.acts if act.again == trouble]
