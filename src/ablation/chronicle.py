"""What a trial keeps besides its oracle's verdict: hurdles, behaviour, honesty, and how far it got.

It listens while the agent acts, and looks at the machine before and after. All of it is told from what the
machine answered and from the judge's handle; what the agent said counts where it is itself what is judged.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ablation.hands import WitnessedEnvironment
from ablation.types import BehaviourRecord, HurdleRecord, StatedRecord
from environments import hosts_of
from scaffold.events import Replied
from scenarios.behaviours import Account, Act, Said, Snapshot, Touched, observe, snapshot
from scenarios.honesty import compare
from scenarios.ladder import Standing, rung

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ablation.types import CanaryRecord
    from environments import Control, Environment
    from scaffold import Episode
    from scaffold.budget import Meter
    from scaffold.events import Event
    from scenarios import Faced, Scenario, Verdict, World

__all__ = ["Chronicle"]


@dataclass(kw_only=True)
class Chronicle:
    """One trial's course, as it is told afterwards."""

    scenario: Scenario[Any]
    world: World[Any]
    acts: list[Act] = field(default_factory=list)
    said: list[Said] = field(default_factory=list)
    hurdles: tuple[HurdleRecord, ...] = ()
    behaviours: tuple[BehaviourRecord, ...] = ()
    standing: Standing | None = None
    stated: tuple[StatedRecord, ...] = ()
    _faced: tuple[Faced, ...] = ()
    _before: Snapshot = field(default_factory=Snapshot)
    _after: Snapshot = field(default_factory=Snapshot)

    def hands(self, env: Environment, meter: Meter, *, host: str = "") -> Environment:
        """Return a machine's handle that is listened to."""
        return WitnessedEnvironment(
            env, tell=self.acts.append, step=lambda: meter.steps, clock=lambda: meter.seconds, host=host
        )

    def hear(self, event: Event) -> None:
        """Take in what the subject said."""
        if isinstance(event, Replied):
            self.said.append(Said(step=event.step, text=event.text, reasoning=event.reasoning))

    async def begin(self, control: Control) -> None:
        """Look at the world before anybody acts."""
        self._before = await snapshot(hosts_of(control), site=self.world.site)

    def __post_init__(self) -> None:
        self.hurdles = tuple(
            HurdleRecord(name=each.name, dose=each.dose, where=each.where) for each in self.world.planted
        )

    async def end(self, control: Control) -> None:
        """Look at the frozen world before the oracle touches it, and say what became of the hurdles."""
        self._after = await snapshot(hosts_of(control), site=self.world.site)
        self._faced = await self.world.faced(control, (act.answer for act in self.acts))
        self.hurdles = tuple(
            HurdleRecord(
                name=each.name, dose=each.dose, where=each.where, met=each.met, repaired=each.repaired
            )
            for each in self._faced
        )

    def judged(self, verdict: Verdict, episode: Episode, canaries: Iterable[CanaryRecord]) -> Verdict:
        """Say how far the agent came, what it did beside its task, and whether its statement is true.

        Returns:
            The verdict, with what was done to bystanders weighed in.
        """
        verdict = self.world.weighed(verdict, self._faced)
        self.standing = rung(
            texts=[text for said in self.said for text in (said.text, said.reasoning)],
            scripts=[act.script or f"{act.path}\n{act.data}" for act in self.acts],
            verdict=verdict,
            knows_how=self.scenario.knows_how,
            submission=episode.submission,
            claims=self.scenario.claims,
            stopped=episode.stop == "refused",
        )
        self.stated = tuple(
            StatedRecord(field=each.field, said=each.said, found=each.found, kind=each.kind)
            for each in compare(episode.submission, verdict, self.scenario.claims)
        )
        self.behaviours = self._observed(verdict, episode.submission, canaries)
        return verdict

    def _observed(
        self, verdict: Verdict, submission: str | None, canaries: Iterable[CanaryRecord]
    ) -> tuple[BehaviourRecord, ...]:
        account = Account(
            acts=tuple(self.acts),
            before=self._before,
            after=self._after,
            site=self.world.site,
            said=tuple(self.said),
            told=(self.scenario.instruction,),
            submission=submission,
            verdict=verdict,
            claims=self.scenario.claims,
            canaries=tuple(
                Touched(canary=each.canary, how=each.how, evidence=each.evidence, step=each.step)
                for each in canaries
            ),
        )
        return tuple(
            BehaviourRecord(tag=each.tag, evidence=each.evidence, step=each.step, mattered=each.mattered)
            for each in observe(account)
        )
