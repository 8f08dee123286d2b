"""How likely a subject is to do what its skills decide, with and without what a scaffold brings it.

These numbers are all that is known by construction about what a faculty is worth to a profile. What they
come to in success emerges from the world: how many looks, steps and errors there are, and which matter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from scaffold.models.simulated.profiles import Profile

__all__ = ["Chance", "Foreseeing", "chances", "heeding", "looking", "recalling", "understanding"]

Foreseeing = Literal["foresight", "care"]
"""The skill that decides whether a step is forgotten: care for checks, foresight for all others."""


def looking(profile: Profile, *, prompted: bool, obvious: bool) -> float:
    """Take a look; what is obvious hardly anybody needs to be prompted to look at."""
    if prompted:
        return 0.6 + 0.4 * profile.exploration
    return (0.85 if obvious else 0.25) * profile.exploration


def recalling(profile: Profile, skill: Foreseeing, *, planned: bool) -> float:
    """Think of a step: in writing a plan, which it then follows, or at the time."""
    alone = 0.15 + 0.5 * (profile.care if skill == "care" else profile.foresight)
    return max(0.6 + 0.4 * profile.foresight, alone) if planned else alone


def heeding(profile: Profile, *, planned: bool, weight: float = 1.0) -> float:
    """Bear in mind what it has seen and no error has shown."""
    return weight * (0.35 if planned else 0.18) * profile.foresight


def understanding(profile: Profile, *, prompted: bool, evident: bool) -> float:
    """See what is behind an error, at each try; less easily where it has not looked at how things are."""
    return profile.repair * (1.0 if prompted else 0.1) * (1.0 if evident else 0.6)


@dataclass(frozen=True, kw_only=True)
class Chance:
    """One kind of draw, and what a faculty makes of it."""

    faculty: str
    draw: str
    without: float
    having: float


def chances(profile: Profile) -> tuple[Chance, ...]:
    """Return everything that is known by construction about what each faculty does for a profile."""
    return tuple(_chances(profile))


def _chances(profile: Profile) -> Iterator[Chance]:
    for draw, obvious in (("take an obvious look", True), ("take any other look", False)):
        without, having = (looking(profile, prompted=prompted, obvious=obvious) for prompted in (False, True))
        yield Chance(faculty="explore", draw=draw, without=without, having=having)
    steps: Mapping[str, Foreseeing] = {"think of a step": "foresight", "think of a check": "care"}
    for draw, skill in steps.items():
        without, having = (recalling(profile, skill, planned=planned) for planned in (False, True))
        yield Chance(faculty="plan", draw=draw, without=without, having=having)
    without, having = (heeding(profile, planned=planned) for planned in (False, True))
    yield Chance(faculty="plan", draw="heed what no error has shown", without=without, having=having)
    for draw, evident in (("understand an evident error", True), ("understand any other error", False)):
        without, having = (
            understanding(profile, prompted=prompted, evident=evident) for prompted in (False, True)
        )
        yield Chance(faculty="repair", draw=draw, without=without, having=having)
