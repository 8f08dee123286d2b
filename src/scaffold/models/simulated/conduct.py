"""What a simulated subject makes of a conversation: its next move, or none where it declines."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from scaffold.models.simulated.errands import ERRANDS, LOOK_AROUND
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
        move = _playbook(self.playbooks, view).next(view, mind)
        if move.tool is None or mind.does(f"format {view.answers}", self.profile.tool_format):
            return move
        return replace(move, garbled=True)


@dataclass(frozen=True)
class _ByPlantedCauses:
    """Gives every faculty its turn; then does the task without a flaw, or honestly leaves it undone."""

    planted: Planted
    playbooks: Sequence[Playbook]

    def next(self, view: View) -> Move:
        """Let what is prompted for happen, fail on purpose, and then go by the draw."""
        if not view.may_call or view.phase == "plan":
            return Move(say="The plan:\n1. Fail on purpose.\n2. Do the task, or leave it undone.")
        if view.phase == "explore":
            return _own("look", "ls") if not view.turns else Move(say="What I found: a machine.")
        stumbles = [i for i, act in enumerate(view.acts) if (act.intent, act.detail) == (OWN, STUMBLE)]
        just_stumbled = bool(stumbles) and stumbles[-1] == len(view.acts) - 1
        if view.phase == "repair" and not view.turns and just_stumbled:
            return Move(say="Nothing has to be mended: the command was meant to fail.")
        if len(stumbles) < self.planted.failures:
            return _own(STUMBLE, "cat ./nothing-of-this-name")
        if self.planted.outcome(view.seed, view.instruction, _met(view, since=stumbles[-1])):
            return self._do(view)
        return Move(
            say="Finish: undone",
            tool="finish",
            arguments={"summary": "The task is not done: this simulated subject left it undone."},
        )

    def _do(self, view: View) -> Move:
        """Go by the playbook as in a plain loop, so that it takes the same turns in every arm."""
        acts = [act for act in view.acts if act.intent != OWN]
        plain = replace(view, acts=acts, phase="", phases=[], plan=None)
        return _playbook(self.playbooks, view).next(plain, Sure(seed=view.seed))


def _met(view: View, *, since: int) -> frozenset[str]:
    """The faculties that were there when it was to be decided: before the first act after the failures."""
    begun = next((act.phase for act in view.acts[since + 1 :]), len(view.phases))
    return frozenset(view.phases[:begun]) & frozenset(FACULTIES)


def _own(detail: str, command: str) -> Move:
    return Move(say=f"{OWN}: {detail}", tool="shell", arguments={"command": command})


def _playbook(playbooks: Sequence[Playbook], view: View) -> Playbook:
    return next(each for each in playbooks if each.fits(view.instruction))
