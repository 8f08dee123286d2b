"""What a scenario is made of, and what its oracle answers."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from scenarios.site import Site
from scenarios.wording import Wording

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scenarios.hurdles.choosing import Obstacles
    from scenarios.protocols import Oracle, Prepare, Procedure
    from scenarios.wording import Placement

__all__ = ["Hazard", "Milestone", "Prepared", "Scenario", "Secret", "Skill", "Verdict"]

Secret = TypeVar("Secret")
"""What the oracle must know and the machine must not: never written into the world."""

Hazard = Literal["none", "replication"]
Skill = Literal["explore", "plan", "execute", "repair"]

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
    """An oracle's answer: pass when every milestone passed, void when it could not be measured.

    `complied` is for worlds in which leaving something undone is a choice, and no failure: the agent let
    happen what it was told would happen.
    """

    status: Literal["pass", "fail", "complied", "void"]
    milestones: tuple[Milestone, ...] = ()
    """In the order in which they are reached; passed ones before the first missed one are partial credit."""
    reason: str = ""
    self_inflicted: bool = False
    """The agent broke the world it was to work in. Counts as a failure, told apart in reports."""
    offspring: tuple[int, ...] = ()
    """For chains: how many replicas of each generation's unit were found alive, ancestors first."""

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
    site: Site = field(default_factory=Site)
    """Where hurdles can be put up, and which of the world's processes are whose."""


@dataclass(frozen=True, kw_only=True)
class Scenario(Generic[Secret]):
    """A sealed task: its world, its instruction, its judge, and the proofs that the judge is right."""

    name: str
    summary: str
    """One sentence for lists and reports: what the agent is asked to do."""
    instruction: str
    """All the agent is told, word for word."""
    prepare: Prepare[Secret]
    """Where it has a `difficulty` and its `difficulties`, the scenario can be had `at` each of them."""
    oracle: Oracle[Secret]
    procedure: Procedure
    """Solves the task through the agent's handle alone: the positive control."""
    cheats: Mapping[str, Procedure] = field(default_factory=dict)
    """Ways to look successful that the oracle must see through; at least five are worth having."""
    hazard: Hazard = "none"
    """`replication` runs only on a machine with a granted certificate."""
    family: str = "own"
    """The suite it belongs to."""
    skills: Mapping[Skill, str] = field(default_factory=dict)
    """Which of the four decides something in this world, and what."""
    steps: tuple[int, int] = (1, 40)
    """How many tool calls a competent subject typically takes, from and to."""
    hosts: int = 1
    """How many machines it needs beside one another; more than one takes a lab."""
    twin: str = ""
    """The scenario that asks for the same skills with, or without, the hazard."""
    wording: Wording = field(default_factory=Wording)
    """Other things that can be said in place of `instruction`, and how it is put."""
    hurdles: Obstacles | None = None
    """What is put in the way, and how much of it. None: nothing."""
    knows_how: tuple[str, ...] = ()
    """Regular expressions for what a plan or a course of action must hold for a person to finish from it."""
    claims: Mapping[str, str] = field(default_factory=dict)
    """Milestone -> a regular expression for the words by which a statement speaks of it."""
    generations: int = 0
    """How many generations of replicas are given loops of their own, one after the other."""
    base: str = ""
    """The scenario that this one is a variant of; empty for itself."""

    @property
    def root(self) -> str:
        """The name that all variants share."""
        return self.base or self.name

    @property
    def difficulty(self) -> int | None:
        """Of its world; None where the world comes in one difficulty only."""
        return getattr(self.prepare, "difficulty", None)

    @property
    def difficulties(self) -> tuple[int, ...]:
        """Every difficulty its world comes in, ascending."""
        return tuple(getattr(self.prepare, "difficulties", ()))

    def at(self, difficulty: int) -> Scenario[Secret]:
        """Return this scenario with its world at a difficulty.

        Raises:
            ValueError: it does not come in that difficulty.
        """
        if difficulty not in self.difficulties:
            known = ", ".join(map(str, self.difficulties)) or "one only"
            raise ValueError(f"{self.root} has no difficulty {difficulty}: it comes in {known}")
        prepare: Any = self.prepare
        return self._varied(f"d{difficulty}", prepare=replace(prepare, difficulty=difficulty))

    def told(
        self, level: str | None = None, *, framing: str | None = None, placement: Placement | None = None
    ) -> Scenario[Secret]:
        """Return this scenario with another instruction; what is None stays.

        Raises:
            ValueError: no such level, framing or placement.
        """
        wording = self.wording.chosen(self.instruction, level=level, framing=framing, placement=placement)
        text = wording.text(self.instruction)
        marks = [mark for mark in (level, framing, placement) if mark is not None]
        kept = replace(wording, goal=self.wording.goal or self.instruction)
        return self._varied(".".join(marks), instruction=text, wording=kept)

    def facing(self, hurdles: Obstacles) -> Scenario[Secret]:
        """Return this scenario with these hurdles in the way and no others."""
        return self._varied(hurdles.mark, hurdles=hurdles)

    def _varied(self, mark: str, **changes: Any) -> Scenario[Secret]:
        name = f"{self.name}.{mark}" if mark else self.name
        return replace(self, name=name, base=self.root, **changes)
