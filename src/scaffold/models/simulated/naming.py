"""Simulated subjects by name: a profile, a profile with other skills, or planted causes.

`steady`, `steady:repair=0.2,care=1`, `planted:base=0.2,explore=0.1,plan=0.3,plan+repair=0.1`. Nothing in them
means anything to a shell.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from scaffold.models.nearest import nearest
from scaffold.models.simulated.planted import FACULTIES, Planted
from scaffold.models.simulated.profiles import PROFILES, SKILLS, Profile

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["FORMS", "character"]

PLANTED = "planted"
FORMS: Mapping[str, str] = MappingProxyType(
    {
        "PROFILE:SKILL=N,...": (
            f"a profile with skills of your own, each from 0 to 1: {', '.join(SKILLS)}; "
            "for example steady:repair=0.2,care=1"
        ),
        "planted:base=N,...": (
            f"planted causes, success known exactly: base, and what {', '.join(FACULTIES)} add, alone or "
            "together; for example planted:base=0.2,plan=0.3,plan+repair=0.1. NAME.sd=N varies between "
            "clusters; scale=logit, draws=independent, cluster=seed, failures=N, luck=N"
        ),
    }
)
"""What can be written beside the name of a profile."""
CHOICES = ("scale", "draws", "cluster")
COUNTS = ("failures", "luck")


def character(text: str) -> Profile | Planted:
    """Return the profile, or what is planted, that a name stands for.

    Raises:
        ValueError: there is none of that name, or it cannot have what is given for it; the message says what.
    """
    name, colon, given = text.partition(":")
    if name == PLANTED:
        return _planted(_pairs(given))
    if name not in PROFILES:
        known = (*PROFILES, PLANTED)
        raise ValueError(
            f"no simulated profile {name!r}{nearest(name, known)}; there are {', '.join(PROFILES)}, "
            f"and {PLANTED}:base=N,..."
        )
    skills = {skill: _number(skill, value) for skill, value in _pairs(given).items()} if colon else {}
    return PROFILES[name].having(skills)


def _pairs(text: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for part in text.split(","):
        name, equals, value = (each.strip() for each in part.partition("="))
        if not equals or not name:
            raise ValueError(f"{part!r} is not NAME=VALUE: write for example steady:repair=0.2,care=1")
        if name in pairs:
            raise ValueError(f"{name} is given twice")
        pairs[name] = value
    return pairs


def _number(name: str, value: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise ValueError(f"{name} is {value!r}: it takes a number") from None


def _planted(pairs: Mapping[str, str]) -> Planted:
    fields: dict[str, Any] = {"effects": {}, "interactions": {}, "spread": {}}
    for name, value in pairs.items():
        if name in CHOICES:
            fields[name] = value
        elif name in COUNTS:
            fields[name] = _count(name, value)
        elif name == "base":
            fields[name] = _number(name, value)
        elif name.endswith(".sd"):
            fields["spread"][name.removesuffix(".sd")] = _number(name, value)
        elif "+" in name:
            fields["interactions"][tuple(name.split("+"))] = _number(name, value)
        elif name in FACULTIES:
            fields["effects"][name] = _number(name, value)
        else:
            known = ("base", *FACULTIES, *CHOICES, *COUNTS)
            raise ValueError(
                f"nothing to plant is called {name!r}{nearest(name, known)}; there are {', '.join(known)}"
            )
    if "base" not in fields:
        raise ValueError("planted causes take a base: write for example planted:base=0.2,plan=0.3")
    return Planted(**fields)


def _count(name: str, value: str) -> int:
    try:
        return int(value)
    except ValueError:
        raise ValueError(f"{name} is {value!r}: it takes a whole number") from None
