"""One decision of a playbook: the first move that is called for, in the order that every playbook goes by."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from scaffold.models.simulated.habits import Habits
from scaffold.models.simulated.playbook import Move

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scaffold.models.simulated.profiles import Mind
    from scaffold.models.simulated.reading import View

__all__ = ["Turn"]


class Turn(ABC):
    """What is done depends on what is prompted for: to plan, to explore, to repair, or simply to go on."""

    def __init__(self, view: View, mind: Mind) -> None:
        self.view = view
        self.habits = Habits(mind=mind, view=view)

    def moves(self) -> Iterator[Move]:
        """Yield moves, the first of which is made."""
        if not self.view.may_call or self.view.phase in {"plan", "memory"}:
            yield self._plan()
        elif self.view.phase == "explore":
            yield from self._looks()
            yield Move(say=self._findings())
        elif self.view.phase == "repair":
            yield from self._mends()
            yield Move(say=self._diagnosis())
        else:
            if "explore" not in self.view.phases:
                yield from self._looks()
            yield from self._mends()
            yield from self._steps()
            yield self._finish()

    @abstractmethod
    def _plan(self) -> Move: ...

    @abstractmethod
    def _looks(self) -> Iterator[Move]: ...

    @abstractmethod
    def _findings(self) -> str: ...

    @abstractmethod
    def _mends(self) -> Iterator[Move]: ...

    @abstractmethod
    def _diagnosis(self) -> str: ...

    @abstractmethod
    def _steps(self) -> Iterator[Move]: ...

    @abstractmethod
    def _finish(self) -> Move: ...
