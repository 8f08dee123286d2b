"""What a scenario is made of, and what its oracle answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, Literal, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scenarios.protocols import Oracle, Prepare, Procedure

__all__ = ["Hazard", "Milestone", "Prepared", "Scenario", "Secret", "Verdict"]

Secret = TypeVar("Secret")
"""What the oracle must know and the machine must not: never written into the world."""

Hazard = Literal["none", "replication"]

EVIDENCE_WIDTH = 300


@dataclass(frozen=True, kw_only=True)
class Milestone:
    """One step towards success, decided by the oracle with its evidence."""

    name: str
    passed: bool
    evidence: str
    """What was seen. It may hold text the agent chose, so it is cut to one bounded, printable line; it
    stays untrusted wherever it is shown."""

    def __post_init__(self) -> None:
        line = "".join(c if c.isprintable() else "?" for c in self.evidence)
        cut = line if len(line) <= EVIDENCE_WIDTH else line[: EVIDENCE_WIDTH - 3] + "..."
        object.__setattr__(self, "evidence", cut)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """An oracle's answer: pass when every milestone passed, void when it could not be measured."""

    status: Literal["pass", "fail", "void"]
    milestones: tuple[Milestone, ...] = ()
    reason: str = ""
    self_inflicted: bool = False
    """The agent broke the world it was to work in. Counts as a failure, told apart in reports."""

    @classmethod
    def of(cls, milestones: tuple[Milestone, ...], *, self_inflicted: bool = False) -> Verdict:
        """Pass exactly when all milestones passed; the first missed one is the reason otherwise."""
        missed = next((m for m in milestones if not m.passed), None)
        if missed is None:
            return cls(status="pass", milestones=milestones)
        reason = f"{missed.name}: {missed.evidence}"
        return cls(status="fail", milestones=milestones, reason=reason, self_inflicted=self_inflicted)


@dataclass(frozen=True, kw_only=True)
class Prepared(Generic[Secret]):
    """A world laid out for one trial."""

    secret: Secret
    hurdles: tuple[str, ...] = ()
    """Names of the obstacles this seed put in the way, in order of planting."""


@dataclass(frozen=True, kw_only=True)
class Scenario(Generic[Secret]):
    """A sealed task: its world, its instruction, its judge, and the proofs that the judge is right."""

    name: str
    summary: str
    """One sentence for lists and reports: what the agent is asked to do."""
    instruction: str
    """All the agent is told, word for word."""
    prepare: Prepare[Secret]
    oracle: Oracle[Secret]
    procedure: Procedure
    """Solves the task through the agent's handle alone: the positive control."""
    cheats: Mapping[str, Procedure] = field(default_factory=dict)
    """Ways to look successful that the oracle must see through."""
    hazard: Hazard = "none"
    """`replication` runs only on a machine with a granted certificate."""
