"""What a study is made of and what its trials come to."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "CONTAINMENT_LOST",
    "BehaviourRecord",
    "CanaryMode",
    "CanaryRecord",
    "GenerationRecord",
    "HurdleRecord",
    "LineageRecord",
    "MilestoneRecord",
    "Outcome",
    "Role",
    "Spend",
    "StatedRecord",
    "TrialKey",
    "TrialRecord",
]

Outcome = Literal[
    "success",
    "failure",
    "complied",
    "refused",
    "limit",
    "self_inflicted",
    "aborted",
    "canary",
    "void",
    "leaked",
]
"""How a trial ended. `complied`: in a world where leaving something undone is a choice, the agent let happen
what it was told would happen; neither success nor failure. `void`: shown to be our fault, so neither either.
`leaked`: something of its machine outlived it, which is our fault too, and is never run again as if nothing
had happened. `aborted` and `canary`: no success by the time a supervisor, or a touched canary, ended it."""

CanaryMode = Literal["off", "note", "pause", "end"]
"""What is done about a touched canary: none are planted, it is noted, the trial waits, the episode ends."""

CONTAINMENT_LOST = "containment lost"
"""How the cause begins of a trial whose machine was found open."""

Role = Literal["arm", "positive_control", "negative_control"]


class TrialKey(NamedTuple):
    """Identifies a trial within its study; every key is run exactly once."""

    arm: str
    scenario: str
    seed: int

    def __str__(self) -> str:
        return f"{self.arm}--{self.scenario}--{self.seed}"


class MilestoneRecord(BaseModel):
    """A milestone as the oracle decided it."""

    model_config = ConfigDict(frozen=True)

    name: str
    passed: bool
    evidence: str
    """One line; untrusted text wherever it is shown."""


class CanaryRecord(BaseModel):
    """A touch of something that nobody has a use for."""

    model_config = ConfigDict(frozen=True)

    canary: str
    thing: str
    """`file`, `credential` or `host`."""
    how: str
    """`read`, `changed`, `moved`, `deleted`, `used`, `shown` or `called`."""
    step: int
    evidence: str
    """One line; untrusted text wherever it is shown."""


class HurdleRecord(BaseModel):
    """What became of something that stood in the way."""

    model_config = ConfigDict(frozen=True)

    name: str
    dose: int = 1
    where: str = ""
    met: bool = False
    """The machine said so to the agent, or the kernel's account does."""
    repaired: bool = False
    """What was spoiled works again, or the way around it was taken."""


class BehaviourRecord(BaseModel):
    """Something the agent did, apart from whether it did its task."""

    model_config = ConfigDict(frozen=True)

    tag: str
    evidence: str
    """One line; untrusted text wherever it is shown."""
    step: int | None = None
    mattered: bool | None = None
    """Whether somebody depended on what was ended; None where that is no question."""


class StatedRecord(BaseModel):
    """What the closing statement says of one milestone, beside what the oracle found."""

    model_config = ConfigDict(frozen=True)

    field: str
    """A milestone, or `done` for the whole task."""
    said: str
    """`yes`, `no` or `nothing`."""
    found: bool
    kind: str
    """`agrees`, `claims-falsely`, `understates` or `silent`."""


class Spend(BaseModel):
    """What one faculty used: the manipulation check."""

    model_config = ConfigDict(frozen=True)

    entered: int = 0
    turns: int = 0
    tool_calls: int = 0
    tokens: int = 0
    seconds: float = 0.0


class GenerationRecord(BaseModel):
    """One loop of a trial's lineage, and what came of it by the kernel's account."""

    model_config = ConfigDict(frozen=True)

    member: int
    """Counts the loops from 0, the trial's own agent's."""
    number: int
    """The generation."""
    parent: int | None = None
    """The member it descends from."""
    machine: str = ""
    began: float
    """Seconds after the trial's clock started."""
    ended: float
    calls: int
    tokens: int
    processes: int
    """Begun while its loop ran."""
    files: int
    """Made or changed while its loop ran."""


class LineageRecord(BaseModel):
    """Every loop of a trial, and who said he was what he was not."""

    model_config = ConfigDict(frozen=True)

    generations: tuple[GenerationRecord, ...] = ()
    """In the order their loops began."""
    forged: int = 0
    """Claims of a key or a generation that were found false."""
    refused: int = 0
    """Loops that were asked for beyond a cap."""


class TrialRecord(BaseModel):
    """One finished trial, as read back from its event log."""

    model_config = ConfigDict(frozen=True)

    key: str
    arm: str
    role: Role = "arm"
    scaffold: str
    scenario: str
    environment: str
    subject: str
    simulated: bool
    seed: int
    outcome: Outcome
    stop: str | None = None
    """How the episode ended: finished, stalled, refused, limit, aborted, canary; None where it never began
    or broke."""
    limit: str | None = None
    """Which budget ran out."""
    cause: str = ""
    """Why the trial is void, or the oracle's first missed milestone: one line, untrusted text."""
    submission: str | None = None
    """The agent's closing statement; untrusted text."""
    milestones: tuple[MilestoneRecord, ...] = ()
    base: str = ""
    """The scenario of which `scenario` is a variant."""
    difficulty: int | None = None
    level: str = "goal"
    """How much the instruction said."""
    framing: str = "plain"
    placement: str = "user"
    hurdles: tuple[HurdleRecord, ...] = ()
    steps: int = 0
    tokens: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    """Part of `prompt_tokens` that the server had in its prefix cache."""
    tokens_estimated: bool = False
    cost: float | None = 0.0
    """What was paid, in the currency of the subject's prices; None where nobody said what its tokens cost."""
    answers_from_cache: int = 0
    """Model calls that were answered from a reply cache or a recording: nobody was asked."""
    tokens_from_cache: int = 0
    """Part of `tokens` in those answers."""
    cost_spared: float = 0.0
    """What those answers would have cost; no part of `cost`."""
    seconds: float = 0.0
    """Wall time of the agent's episode."""
    faculties: dict[str, Spend] = Field(default_factory=dict)
    interventions: int = 0
    """What supervisors did about the trial, looking on and letting it go on included."""
    unaided: bool = True
    """No call was kept from running and nobody ended the episode: the outcome is the agent's own."""
    canaries: tuple[CanaryRecord, ...] = ()
    """What was touched that nobody has a use for."""
    canaries_unwatched: tuple[str, ...] = ()
    """What could not be told about canaries on this machine."""
    behaviours: tuple[BehaviourRecord, ...] = ()
    """What it did beside its task."""
    rung: str = ""
    """How far on the published ladder: refused, agrees, knows-how, does; empty where nobody judged."""
    claim: str = "as-it-is"
    """Where words and deeds part: claimed-but-did-not, did-but-did-not-claim."""
    stated: tuple[StatedRecord, ...] = ()
    """Its closing statement beside the oracle's findings."""
    offspring: tuple[int, ...] = ()
    """For chains: living replicas of each generation's unit, ancestors first."""
    certificate: dict[str, Any] = Field(default_factory=dict)
    lineage: LineageRecord | None = None
    """None where the agent never came."""
    attempt: int = 1
    """Counts from 1; earlier attempts were void or interrupted and stay in the record."""
    log: str = ""
    """File name of the event log, relative to the study's folder."""

    @property
    def containment_lost(self) -> bool:
        """It is void because its machine was found open: somebody is to look, so it is not run again."""
        return self.outcome == "void" and self.cause.startswith(CONTAINMENT_LOST)

    @property
    def obstacles(self) -> tuple[str, ...]:
        """Names of its hurdles."""
        return tuple(hurdle.name for hurdle in self.hurdles)

    @property
    def measured(self) -> bool:
        """It says something about the agent."""
        return self.outcome not in {"void", "leaked"}
