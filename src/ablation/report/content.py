"""What a report says, as plain frozen values: every renderer shows these and works nothing out itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ablation.statistics import Estimate, Interval, PairedTable, wilson

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ablation.types import Outcome, Role, TrialRecord

__all__ = [
    "Arm",
    "CanaryShare",
    "Comparison",
    "Containment",
    "Effect",
    "FacultyShare",
    "HurdleContrast",
    "MilestoneShare",
    "ProbeShare",
    "Proportion",
    "Report",
    "Scope",
    "Supervision",
]


@dataclass(frozen=True, kw_only=True)
class Proportion:
    """A share of trials."""

    count: int
    of: int

    @property
    def value(self) -> float:
        """Between 0 and 1; 0 where there is nothing to share."""
        return self.count / self.of if self.of else 0.0

    @property
    def interval(self) -> Interval:
        """Wilson's 95 % interval."""
        return wilson(self.count, self.of)


@dataclass(frozen=True, kw_only=True)
class MilestoneShare:
    """How many of an arm's measured trials passed a milestone."""

    name: str
    passed: Proportion


@dataclass(frozen=True, kw_only=True)
class FacultyShare:
    """Manipulation check: whether a faculty fired in an arm, and what part of the budget it took."""

    name: str
    present: bool
    """The design gives this arm the faculty."""
    entered: Proportion
    """Trials in which it was entered at all."""
    turns: float
    """A trial, on average."""
    tool_calls: float
    """A trial, on average."""
    tokens: float
    """Its part of the arm's tokens, between 0 and 1."""

    @property
    def fired(self) -> bool:
        """It was entered or spent something."""
        return self.entered.count > 0 or self.turns > 0 or self.tokens > 0


@dataclass(frozen=True, kw_only=True)
class Arm:
    """What the trials of one arm came to. Voids stand apart and are in no other number."""

    name: str
    role: Role
    baseline: bool
    removed: str | None
    description: str
    success: Proportion
    """Of the trials that could be measured."""
    voids: int
    attempts: int
    """Runs it took, the void and the interrupted ones included."""
    outcomes: Mapping[Outcome, int]
    limits: Mapping[str, int]
    """Which budgets ran out, and how often."""
    milestones: tuple[MilestoneShare, ...]
    faculties: tuple[FacultyShare, ...]
    steps: Estimate | None
    """A trial."""
    seconds: Estimate | None
    """A trial."""
    tokens: Estimate | None
    """A trial."""
    tokens_per_success: Estimate | None
    cost: Estimate | None
    """A trial; None too where the price of some trial is not known."""
    cost_per_success: Estimate | None
    tokens_estimated: bool
    prompt_tokens: Estimate | None = None
    """A trial."""
    cached_tokens: Estimate | None = None
    """A trial: the part of the prompt that the server had in its prefix cache."""
    completion_tokens: Estimate | None = None
    """A trial."""

    @property
    def success_with_voids_failed(self) -> Proportion:
        """The least favourable reading: every void a failure."""
        return Proportion(count=self.success.count, of=self.success.of + self.voids)

    @property
    def control(self) -> bool:
        """It is there to check the instrument."""
        return self.role != "arm"


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two arms on the worlds they share: baseline minus the other."""

    table: PairedTable
    difference: float
    interval: Interval
    """Newcombe's paired 95 % interval."""
    p: float
    """McNemar's exact test."""


@dataclass(frozen=True, kw_only=True)
class Effect:
    """What an arm lost against the baseline; positive where the baseline did better."""

    arm: str
    baseline: str
    removed: str | None
    """The faculty the arm lacks; None where it differs in another way."""
    measured: Comparison | None
    """On worlds measured in both arms; None where there is none, and then nothing is compared."""
    voids_failed: Comparison | None
    """The same with every void counted as a failure."""
    unpaired: int
    """Worlds left out because one of the two arms has no measured trial there."""
    adjusted_p: float | None = None
    """Holm's, over the removed faculties; None for other arms."""

    @property
    def name(self) -> str:
        """What the effect is called: the faculty, or else the arm."""
        return self.removed or self.arm

    @property
    def p(self) -> float | None:
        """The p-value that decides: adjusted where the effect is one of several."""
        if self.measured is None:
            return None
        return self.measured.p if self.adjusted_p is None else self.adjusted_p

    @property
    def shown(self) -> bool:
        """The data show a difference at the 5 % level, after adjustment."""
        return self.p is not None and self.p < 0.05


@dataclass(frozen=True, kw_only=True)
class HurdleContrast:
    """An arm's success in worlds with and without a hurdle."""

    hurdle: str
    arm: str
    present: Proportion
    absent: Proportion


@dataclass(frozen=True, kw_only=True)
class ProbeShare:
    """One probe, and in how many trials it found what was declared, by phase."""

    name: str
    seen_from: str
    """`outside` or `inside`."""
    declared: str
    before: Proportion
    during: Proportion
    after: Proportion


@dataclass(frozen=True, kw_only=True)
class Containment:
    """What the certificates of all trials say together."""

    granted: Proportion
    lost: int
    """Trials that were ended, or count for nothing, because a machine was found open."""
    providers: tuple[str, ...]
    probes: tuple[ProbeShare, ...]
    samples: int
    """Examinations while agents acted, over all trials."""
    fences: tuple[tuple[str, str], ...]
    """Resource, and how its limit was enforced."""
    declared: tuple[tuple[str, str], ...]
    """What the providers say of their machines in words."""
    time_to_quiet: tuple[str, ...]
    """How long after a stop the last process was gone, as it was drilled."""


@dataclass(frozen=True, kw_only=True)
class Supervision:
    """What supervisors did to the measured trials of an arm."""

    arm: str
    interventions: int
    helped: Proportion
    """Trials in which a call was kept from running or the episode was ended."""
    aborted: int
    unaided: Proportion
    """Trials that succeeded without that."""


@dataclass(frozen=True, kw_only=True)
class CanaryShare:
    """How many of an arm's measured trials touched something that nobody has a use for."""

    arm: str
    touched: Proportion
    hows: Mapping[str, int]
    """In how many trials each way of touching was seen."""
    unwatched: tuple[str, ...]
    """What could not be told."""


@dataclass(frozen=True, kw_only=True)
class Scope:
    """What the results are about, and what they are not."""

    statements: tuple[str, ...]
    instructions: tuple[tuple[str, str], ...]
    """Scenario, and all that the agent was told, word for word."""
    reproduce: tuple[str, ...]
    """Commands."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """A whole report."""

    study: str
    question: str
    headline: str
    simulated: bool
    """Some trial had a stand-in for a subject: the label stands wherever results are shown."""
    subjects: tuple[str, ...]
    environment: str
    scenarios: tuple[tuple[str, str], ...]
    """Name and summary."""
    digest: str
    """Of the frozen design."""
    planned: int
    """Trials of the design."""
    warnings: tuple[str, ...]
    arms: tuple[Arm, ...]
    effects: tuple[Effect, ...]
    hurdles: tuple[HurdleContrast, ...]
    containment: Containment
    supervision: tuple[Supervision, ...]
    """By arm; empty where no supervisor did anything."""
    canaries: tuple[CanaryShare, ...]
    """By arm; empty where none were planted."""
    scope: Scope
    trials: tuple[TrialRecord, ...]
    incomplete: str = ""
    """Why the latest sitting left trials out; empty where no limit had a part in it."""

    @property
    def label(self) -> str:
        """`SIMULATED` or nothing."""
        return "SIMULATED" if self.simulated else ""

    @property
    def told_scenarios(self) -> str:
        """Names of the scenarios; where there are many, only how many."""
        names = [name for name, _ in self.scenarios]
        return ", ".join(names) if len(names) < 4 else f"{len(names)}, from {names[0]} to {names[-1]}"

    @property
    def priced(self) -> bool:
        """Some trial cost money that was counted."""
        return any(trial.cost for trial in self.trials)

    @property
    def cost_known(self) -> bool:
        """Of no trial it is unknown what its tokens cost."""
        return all(trial.cost is not None for trial in self.trials)

    @property
    def cached(self) -> bool:
        """Some prompt was found in a server's cache."""
        return any(trial.cached_tokens for trial in self.trials)
