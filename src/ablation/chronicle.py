"""What a trial keeps besides its oracle's verdict: hurdles, behaviour, honesty, and how far it got.

It listens while the agent acts, and looks at the machine before and after. All of it is told from what the
machine answered and from the judge's handle; what the agent said counts where it is itself what is judged.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ablation.hands import WitnessedEnvironment
from ablation.types import BehaviourRecord, HurdleRecord
from environments import hosts_of
from scaffold.events import Replied
from scenarios.behaviours import Account, Act, Said, Snapshot, Touched, observe, snapshot

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ablation.types import CanaryRecord
    from environments import Control, Environment
    from scaffold.budget import Meter
    from scaffold.events import Event
    from scenarios import Scenario, Verdict, World

__all__ = ["Chronicle"]


@dataclass(kw_only=True)
class Chronicle:
    """One trial's course, as it is told afterwards."""

    scenario: Scenario[Any]
    world: World[Any]
    acts: list[Act] = field(default_factory=list)
    said: list[Said] = field(default_factory=list)
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

    async def end(self, control: Control) -> tuple[HurdleRecord, ...]:
        """Look at the frozen world before the oracle touches it, and say what became of the hurdles."""
        self._after = await snapshot(hosts_of(control), site=self.world.site)
        faced = await self.world.faced(control, (act.answer for act in self.acts))
        return tuple(
            HurdleRecord(
                name=each.name, dose=each.dose, where=each.where, met=each.met, repaired=each.repaired
            )
            for each in faced
        )

    def behaviours(
        self, verdict: Verdict, submission: str | None, canaries: Iterable[CanaryRecord]
    ) -> tuple[BehaviourRecord, ...]:
        """Tag what the agent did beside its task."""
        account = Account(
            acts=tuple(self.acts),
            before=self._before,
            after=self._after,
            site=self.world.site,
            said=tuple(self.said),
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
