"""What a simulated subject makes of a conversation: its next move, or none where it declines."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from scaffold.models.simulated.errands import ERRANDS, LOOK_AROUND
from scaffold.models.simulated.notes import written
from scaffold.models.simulated.planted import FACULTIES, Planted
from scaffold.models.simulated.playbook import AtALoss, Move, Playbook
from scaffold.models.simulated.profiles import Mind, Profile, Sure
from scaffold.models.simulated.second_instance import SecondInstance

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scaffold.models.simulated.reading import View

__all__ = ["PLAYBOOKS", "Conduct", "conduct_of", "knows"]

TASKS: tuple[Playbook, ...] = (*ERRANDS, SecondInstance())
PLAYBOOKS: tuple[Playbook, ...] = (*TASKS, LOOK_AROUND, AtALoss())

OWN = "Planted"
"""The intent of what is done for the sake of the experiment; playbooks never see these acts."""
STUMBLE = "stumble"
NOTED = re.compile(rf"^{OWN}: had (?P<had>[a-z ]*); (?P<state>\w+)$", re.MULTILINE)


def knows(instruction: str) -> bool:
    """Whether there is a playbook for such a task, so that it can be done and not only left undone."""
    return any(each.fits(instruction) for each in TASKS)


class Conduct(Protocol):
    """How a subject goes about things. It holds no state: the conversation is all there is."""

    def next(self, view: View) -> Move | None:
        """Decide the next move; None declines."""
        ...


def conduct_of(character: Profile | Planted, playbooks: Sequence[Playbook] = PLAYBOOKS) -> Conduct:
    """Return how such a subject goes about things."""
    if isinstance(character, Planted):
        return _ByPlantedCauses(character, playbooks)
    return _BySkill(character, playbooks)


@dataclass(frozen=True)
class _BySkill:
    profile: Profile
    playbooks: Sequence[Playbook]

    def next(self, view: View) -> Move | None:
        """Do what the playbook says, as well as the skills let it."""
        mind = Mind(profile=self.profile, seed=view.seed)
        if view.answers == 0 and mind.does("refuse", self.profile.refusal):
            return None
        if view.phase == "memory":
            return Move(say=written(view))
        move = _playbook(self.playbooks, view).next(view, mind)
        if move.tool is None or mind.does(f"format {view.answers}", self.profile.tool_format):
            return move
        return replace(move, garbled=True)


@dataclass(frozen=True)
class _Course:
    """How far the subject with planted causes has come."""

    had: frozenset[str]
    """Faculties that were there by the time it was to be decided, or until now."""
    failed: int
    """Commands that failed on purpose."""
    just_failed: bool
    decided: bool

    @classmethod
    def of(cls, view: View, failures: int) -> _Course:
        """Take it from the conversation, and from what was noted before that began anew."""
        at = [index for index, act in enumerate(view.acts) if (act.intent, act.detail) == (OWN, STUMBLE)]
        since = view.acts[at[-1] + 1 :] if at else []
        decided = len(at) >= failures and bool(since)
        noted = NOTED.search(view.note)
        had = frozenset(noted["had"].split() if noted else ())
        if noted is None or noted["state"] == "open":
            had |= frozenset(view.phases[: since[0].phase] if decided else view.phases) & frozenset(FACULTIES)
        return cls(had, len(at), just_failed=bool(at) and not since, decided=decided)

    def note(self, view: View) -> str:
        """Write down what is to be known when the conversation begins anew, the acts included."""
        state = "decided" if self.decided else "open"
        return f"{OWN}: had {' '.join(sorted(self.had))}; {state}\n{written(view)}"


@dataclass(frozen=True)
class _ByPlantedCauses:
    """Gives every faculty its turn; then does the task without a flaw, or honestly leaves it undone."""

    planted: Planted
    playbooks: Sequence[Playbook]

    def next(self, view: View) -> Move:
        """Let what is prompted for happen, fail on purpose, and then go by the draw."""
        course = _Course.of(view, self.planted.failures)
        if (move := self._prompted(view, course)) is not None:
            return move
        if course.failed < self.planted.failures:
            return _own(STUMBLE, "cat ./nothing-of-this-name")
        if self.planted.outcome(view.seed, view.instruction, course.had):
            return self._do(view)
        return Move(
            say="Finish: undone",
            tool="finish",
            arguments={"summary": "The task is not done: this simulated subject left it undone."},
        )

    def _prompted(self, view: View, course: _Course) -> Move | None:
        """Return what a faculty's prompt asks for; None where it has been answered."""
        match view.phase:
            case "memory" if not view.turns:
                return Move(say=course.note(view))
            case "plan" if not view.turns:
                return Move(say="The plan:\n1. Fail on purpose.\n2. Do the task, or leave it undone.")
            case "explore":
                return Move(say="What I found: a machine.") if view.turns else _own("look", "ls")
            case "repair" if not view.turns and course.just_failed:
                return Move(say="Nothing has to be mended: the command was meant to fail.")
        return None if view.may_call else Move(say="There is nothing to be said.")

    def _do(self, view: View) -> Move:
        """Go by the playbook as in a plain loop, so that it takes the same turns in every arm."""
        acts = [act for act in view.acts if act.intent != OWN]
        plain = replace(view, acts=acts, phase="", phases=[], plan=None)
        return _playbook(self.playbooks, view).next(plain, Sure(seed=view.seed))


def _own(detail: str, command: str) -> Move:
    return Move(say=f"{OWN}: {detail}", tool="shell", arguments={"command": command})


def _playbook(playbooks: Sequence[Playbook], view: View) -> Playbook:
    return next(each for each in playbooks if each.fits(view.instruction))
