"""A study's design: which scaffolds meet which worlds, in which order.

Each arm meets the same worlds. A world is a scenario with a seed; its trials stand together in the order
of work, the arms shuffled within it, so that whatever drifts over time drifts over all arms alike.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, get_args

from ablation.errors import DesignFault
from ablation.frozen import FrozenDesign
from ablation.provenance import describe, instrument
from ablation.record import digest
from ablation.spending import SpendLimits
from ablation.types import CanaryMode, Role, TrialKey
from scaffold import ApproveAll, Budget, FacultyScaffold, Nothing, Reference, react

if TYPE_CHECKING:
    from collections.abc import Sequence

    from environments import Provider
    from scaffold import Supervisor
    from scaffold.models import ReplyCache
    from scaffold.protocols import Scaffold, Subject
    from scenarios import Scenario

__all__ = ["FACULTIES", "Arm", "Study", "Trial", "ablate"]

FACULTIES = ("explore", "plan", "execute", "repair", "memory")

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._]*(?:-[A-Za-z0-9._]+)*")


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One cell of a design: a scaffold, and what it is there for."""

    name: str
    scaffold: Scaffold
    role: Role = "arm"
    baseline: bool = False
    """The arm that the others are compared with."""
    removed: str | None = None
    """The faculty this arm lacks, compared with the baseline."""
    description: str = ""
    subject: Subject | None = None
    """In place of the study's."""
    budget: Budget | None = None
    """In place of the study's."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One cell of the plan, with everything it needs but a machine and a connected subject."""

    key: TrialKey
    role: Role
    scaffold: Scaffold
    scenario: Scenario[Any]
    subject: Subject
    budget: Budget
    oversight: Supervisor = field(default_factory=ApproveAll)
    canaries: CanaryMode = "note"


def ablate(
    base: FacultyScaffold,
    faculties: Sequence[str] = ("explore", "plan", "repair"),
    *,
    single_loop: bool = False,
) -> tuple[Arm, ...]:
    """Return the full arm and, for each faculty, the same arm without it.

    Args:
        base: the scaffold with all its faculties.
        faculties: which of them are removed, one at a time.
        single_loop: adds an arm `react`, a plain loop of model and tools without any faculties.

    Raises:
        DesignFault: a faculty is unknown or already absent.
    """
    arms = [Arm(name="full", scaffold=base, baseline=True, description="every faculty")]
    for faculty in faculties:
        if faculty not in FACULTIES:
            raise DesignFault(f"there is no faculty {faculty!r}: choose from {', '.join(FACULTIES)}")
        if getattr(base, faculty) is None:
            raise DesignFault(f"scaffold {base.name!r} has no {faculty} that could be removed")
        name = f"no-{faculty}"
        absent: dict[str, Any] = {"name": name, faculty: None}
        arms.append(
            Arm(
                name=name,
                scaffold=replace(base, **absent),
                removed=faculty,
                description=f"without {faculty}",
            )
        )
    if single_loop:
        arms.append(Arm(name="react", scaffold=react(), description="a plain loop without faculties"))
    return tuple(arms)


@dataclass(frozen=True, kw_only=True)
class Study:
    """Arms, worlds, and what every trial is given.

    Raises:
        DesignFault: something is missing, doubled or not to be used as a file name.
    """

    name: str
    arms: Sequence[Arm]
    scenarios: Sequence[Scenario[Any]]
    seeds: Sequence[int]
    subject: Subject
    environment: Provider
    question: str = ""
    """What the study is to answer, in one sentence; shown at the top of the report."""
    budget: Budget = field(default_factory=Budget)
    """Of each trial."""
    controls: bool = True
    """Adds the two controls: the scenario's own procedure must always succeed, doing nothing never."""
    void_retries: int = 2
    """How often a trial that could not be measured is run again."""
    order_seed: int = 0
    oversight: Supervisor = field(default_factory=ApproveAll)
    """Decides about each tool call of the arms; the controls' are theirs."""
    spending: SpendLimits = field(default_factory=SpendLimits)
    """What all trials together may spend, and those of each arm. No part of the frozen design: it can be
    raised when the study goes on."""
    canaries: CanaryMode = "note"
    """What is done when an agent touches something that is there for no use."""
    reply_cache: ReplyCache | None = None
    """Answers what a subject was asked before, in any study that shares it; None asks every time."""

    def __post_init__(self) -> None:
        _check_names("study", [self.name])
        _check_names("arm", [arm.name for arm in self.all_arms])
        _check_names("scenario", [scenario.name for scenario in self.scenarios])
        _check_unique("seed", [str(seed) for seed in self.seeds])
        if len([arm for arm in self.arms if arm.baseline]) > 1:
            raise DesignFault("only one arm can be the baseline")
        if self.void_retries < 0:
            raise DesignFault("void_retries must not be negative")
        if not callable(self.oversight):
            raise DesignFault("oversight has to be an async callable `(call, view) -> Decision`")
        if self.canaries not in get_args(CanaryMode):
            raise DesignFault(f"canaries is {self.canaries!r}: choose from {', '.join(get_args(CanaryMode))}")

    @property
    def all_arms(self) -> tuple[Arm, ...]:
        """The study's own arms, then its controls."""
        controls = (
            Arm(
                name="reference",
                scaffold=Reference(),
                role="positive_control",
                description="plays the scenario's own procedure",
            ),
            Arm(name="nothing", scaffold=Nothing(), role="negative_control", description="does nothing"),
        )
        return (*self.arms, *(controls if self.controls else ()))

    def trials(self) -> tuple[Trial, ...]:
        """Return every trial once, in the order of work."""
        shuffle = random.Random(f"{self.name}/{self.order_seed}").shuffle  # noqa: S311 - an order, not a secret
        plan: list[Trial] = []
        for seed in self.seeds:
            for scenario in self.scenarios:
                block = list(self.all_arms)
                shuffle(block)
                plan += [self._trial(arm, scenario, seed) for arm in block]
        return tuple(plan)

    def _trial(self, arm: Arm, scenario: Scenario[Any], seed: int) -> Trial:
        scaffold = arm.scaffold
        if isinstance(scaffold, Reference) and scaffold.procedure is None:
            scaffold = scaffold.playing(scenario.procedure)
        return Trial(
            key=TrialKey(arm.name, scenario.name, seed),
            role=arm.role,
            scaffold=scaffold,
            scenario=scenario,
            subject=arm.subject or self.subject,
            budget=arm.budget or self.budget,
            oversight=self.oversight if arm.role == "arm" else ApproveAll(),
            canaries=self.canaries,
        )

    def freeze(self) -> FrozenDesign:
        """Return the design as plain data with its digest: what `study.json` holds."""
        return FrozenDesign.of(
            {
                "schema": 1,
                "name": self.name,
                "question": self.question,
                "arms": [_arm_fields(arm) for arm in self.all_arms],
                "scenarios": [_scenario_fields(scenario) for scenario in self.scenarios],
                "seeds": list(self.seeds),
                "subject": _subject_fields(self.subject),
                "environment": self.environment.name,
                "machine": describe(self.environment),
                "budget": self.budget.model_dump(mode="json"),
                "void_retries": self.void_retries,
                "oversight": describe(self.oversight),
                "canaries": self.canaries,
                "reply_cache": describe(self.reply_cache),
                "order": [str(trial.key) for trial in self.trials()],
                "instrument": instrument(),
            }
        )


def _arm_fields(arm: Arm) -> dict[str, Any]:
    prompts = getattr(arm.scaffold, "prompts", None)
    return {
        "name": arm.name,
        "role": arm.role,
        "baseline": arm.baseline,
        "removed": arm.removed,
        "description": arm.description,
        "faculties": {
            name: describe(getattr(arm.scaffold, name)) for name in FACULTIES if hasattr(arm.scaffold, name)
        },
        "prompts": describe(prompts) if prompts else {},
        "scaffold": describe(arm.scaffold),
        "subject": _subject_fields(arm.subject) if arm.subject else None,
        "budget": arm.budget.model_dump(mode="json") if arm.budget else None,
    }


def _scenario_fields(scenario: Scenario[Any]) -> dict[str, Any]:
    return {
        "name": scenario.name,
        "base": scenario.root,
        "family": scenario.family,
        "summary": scenario.summary,
        "hazard": scenario.hazard,
        "difficulty": scenario.difficulty,
        "generations": scenario.generations,
        "hurdles": describe(scenario.hurdles),
        "instruction": scenario.instruction,
        "instruction_digest": digest(scenario.instruction.encode()),
        "level": scenario.wording.level,
        "framing": scenario.wording.framing,
        "placement": scenario.wording.placement,
        "levels": {
            level: {"text": text, "digest": digest(text.encode())}
            for level, text in scenario.wording.texts(scenario.instruction).items()
        },
    }


def _subject_fields(subject: Subject) -> dict[str, Any]:
    return {"name": subject.name, "simulated": subject.simulated, "settings": describe(subject)}


def _check_names(what: str, names: Sequence[str]) -> None:
    for name in names:
        if len(name) > 64 or not _NAME.fullmatch(name):
            raise DesignFault(
                f"{what} name {name!r} cannot name a file: "
                "use up to 64 letters, digits, '.', '_' and single '-', a letter or digit first"
            )
    _check_unique(what, names)


def _check_unique(what: str, names: Sequence[str]) -> None:
    if not names:
        raise DesignFault(f"the study has no {what}s")
    doubled = [name for name, times in Counter(names).items() if times > 1]
    if doubled:
        hint = " (controls=True adds it)" if doubled[0] in {"reference", "nothing"} else ""
        raise DesignFault(f"{what} {doubled[0]!r} stands twice in the study{hint}")
