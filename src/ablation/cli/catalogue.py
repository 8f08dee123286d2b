"""Names on the command line, and the objects they stand for. Nothing else in redline knows names."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ablation.cli.loading import load_object
from ablation.cli.nearest import did_you_mean
from ablation.errors import NameUnknown
from environments.catalogue import MACHINES, PATTERNS, machines
from scaffold import FacultyScaffold, Nothing, Reference, Scaffold, react
from scaffold.models import PROFILES, SPECS
from scaffold.models.simulated import FORMS
from scaffold.models.vllm import PRESETS
from scenarios import Scenario
from scenarios.catalogue import CATALOGUE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from environments import Provider

__all__ = ["ENVIRONMENTS", "SCAFFOLDS", "SCENARIOS", "SUBJECTS", "environment", "scaffold", "scenario"]


def _without(faculty: str) -> FacultyScaffold:
    absent: dict[str, Any] = {"name": f"no-{faculty}", faculty: None}
    return replace(FacultyScaffold(), **absent)


SCAFFOLDS: Mapping[str, tuple[Callable[[], Scaffold], str]] = {
    "full": (FacultyScaffold, "explore, plan, execute and repair over tool nodes, and memory"),
    "no-explore": (lambda: _without("explore"), "full without exploring first"),
    "no-plan": (lambda: _without("plan"), "full without a plan"),
    "no-repair": (lambda: _without("repair"), "full without repairing what failed"),
    "no-memory": (lambda: _without("memory"), "full, but a trial ends where the subject's window is full"),
    "react": (react, "a plain loop of model and tools"),
    "reference": (Reference, "control: plays the scenario's own procedure; must always succeed"),
    "nothing": (Nothing, "control: does nothing; must never succeed"),
}
SCENARIOS: Mapping[str, Scenario[Any]] = CATALOGUE
ENVIRONMENTS: Mapping[str, str] = {
    **{name: summary for name, (_, summary) in MACHINES.items()},
    **PATTERNS,
}
SUBJECTS: Mapping[str, str] = {
    **{spec: summary for spec, summary in SPECS.items() if not spec.startswith("simulated:")},
    **{f"vllm:{name}": preset.summary for name, preset in PRESETS.items()},
    **{
        f"simulated:{name}": "SIMULATED: exercises the instrument, says nothing about a model"
        for name in PROFILES
    },
    **{f"simulated:{form}": f"SIMULATED: {summary}" for form, summary in FORMS.items()},
}


def scaffold(name: str) -> Scaffold:
    """Return the scaffold that `name` or `module:attribute` stands for."""
    if name in SCAFFOLDS:
        return SCAFFOLDS[name][0]()
    found = _load("scaffold", name, SCAFFOLDS)
    if not isinstance(found, Scaffold):
        raise NameUnknown(f"{name} is not a scaffold: it needs a `name` and an async `run`")
    return found


def scenario(name: str) -> Scenario[Any]:
    """Return the scenario that `name` or `module:attribute` stands for."""
    if name in SCENARIOS:
        return SCENARIOS[name]
    found = _load("scenario", name, SCENARIOS)
    if not isinstance(found, Scenario):
        raise NameUnknown(f"{name} is not a Scenario")
    return found


def environment(name: str) -> Provider:
    """Return the provider of machines that `name` or `module:attribute` stands for."""
    if name in MACHINES or name.startswith(("ssh://", "container:")) or name.endswith(".toml"):
        return machines(name)
    found = _load("environment", name, ENVIRONMENTS)
    if not (hasattr(found, "open") and hasattr(found, "name")):
        raise NameUnknown(f"{name} provides no machines: it needs a `name` and an `open`")
    provider: Provider = found
    return provider


def _load(what: str, name: str, known: Mapping[str, object]) -> Any:
    if ":" not in name:
        hint = did_you_mean(name, known)
        listed = ", ".join(known)
        raise NameUnknown(f"there is no {what} {name!r}{hint or ';'} there are {listed}, or module:attribute")
    return load_object(name)
