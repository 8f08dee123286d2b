"""The loops of one trial: the agent's own, and those that its replicas are given, one after the other."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from ablation.descent import machines_of
from environments import agent_on
from scaffold import BudgetSpent, EpisodeEnded
from scaffold.oversight import HeldEnvironment
from scaffold.types import FacultyUse
from scenarios.succession import through_generations

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ablation.chronicle import Chronicle
    from ablation.design import Trial
    from environments import Lease
    from environments.containment import Examiner
    from scaffold import Context, Episode
    from scaffold.oversight import Watch
    from scenarios import World

__all__ = ["Loops"]

GRACE_S = 2.0
"""Scaffolds end themselves in time; one that does not watch the clock is stopped this much later."""


@dataclass(frozen=True, kw_only=True)
class Loops:
    """Runs the trial's scaffold, once for each generation."""

    trial: Trial
    lease: Lease
    context: Context
    """The agent's own."""
    chronicle: Chronicle
    watch: Watch
    examiner: Examiner

    async def run(self, world: World[Any]) -> tuple[Any, Episode]:
        """Let every generation act; return what the oracle then needs, and how it all ended."""
        contexts = [self.context]
        episodes: list[Episode] = []
        async with AsyncExitStack() as loops:

            async def play(instruction: str, generation: int, host: str) -> str | None:
                if generation:  # only here is a replica given a loop
                    descending = contexts[-1].descend(**self._place(host))
                    contexts.append(await loops.enter_async_context(descending))
                episodes.append(await self._play(contexts[-1], instruction))
                return episodes[-1].submission

            most = 1 + self.trial.budget.generations
            secret, _ = await through_generations(
                self.trial.scenario, self.lease.control, world.secret, play, most=most
            )
        return secret, _summed(episodes)

    def _place(self, host: str) -> dict[str, Any]:
        """Return where a replica's loop acts: held and listened to like the trial's own agent."""
        hands = self.chronicle.hands(agent_on(self.lease, host), self.context.meter, host=host)
        there = machines_of(self.lease)[host] if host else self.lease
        return {"env": HeldEnvironment(hands, self.watch), "gate": there.gate, "machine": host or None}

    async def _play(self, context: Context, instruction: str) -> Episode:
        """Run the scaffold to its end, to that of its time, or to where it is ended from outside."""
        deadline = None
        try:
            async with context.meter.limited(grace=GRACE_S) as deadline:
                acting = self.trial.scaffold.run(instruction, context.env, context=context)
                episode = await self.examiner.watch(acting)
        except BudgetSpent as spent:
            episode = context.episode("limit", limit=spent.limit)
        except EpisodeEnded as end:
            episode = context.episode(end.stop)
        except TimeoutError:
            if deadline is None or not deadline.expired():
                raise
            if self.watch.ended is None:
                episode = context.episode("limit", limit="seconds")
        # However the scaffold took it: an episode that was ended from outside has no end of its own.
        return context.episode(self.watch.ended) if self.watch.ended else episode


def _summed(episodes: Sequence[Episode]) -> Episode:
    """Return the last generation's episode with what the faculties of all of them used.

    Its steps and its spending are the trial's already: all generations share one meter.
    """
    uses: dict[str, FacultyUse] = {}
    for episode in episodes:
        for name, use in episode.faculties.items():
            so_far = uses.get(name, FacultyUse())
            sums = {each.name: getattr(so_far, each.name) + getattr(use, each.name) for each in fields(use)}
            uses[name] = FacultyUse(**sums)
    return replace(episodes[-1], faculties=uses)
