"""What a simulated subject is good at, and how its luck is drawn."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from hashlib import blake2b
from types import MappingProxyType
from typing import TYPE_CHECKING

from scaffold.models.nearest import nearest

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["FLAWLESS", "PROFILES", "SKILLS", "Mind", "Profile", "Sure", "plainly", "uniform"]


def plainly(number: float) -> str:
    """Write a number as people type it; reading it back gives the same one."""
    return repr(float(number)).removesuffix(".0")


@dataclass(frozen=True, kw_only=True)
class Profile:
    """Skills between 0 and 1. None is a probability of success: that emerges from the world.

    `replace(PROFILES["steady"], repair=0.2)` is called `steady:repair=0.2` wherever it is named.

    Raises:
        ValueError: a skill is not a number from 0 to 1.
    """

    name: str
    exploration: float
    """Looks before it acts."""
    foresight: float
    """Thinks of every step, and heeds what it has seen."""
    care: float
    """Verifies its work."""
    repair: float
    """Understands from an error what to mend."""
    tool_format: float
    """Writes calls that can be parsed."""
    honesty: float
    """Says so when it has not succeeded."""
    refusal: float = 0.0
    """Declines at once."""

    def __post_init__(self) -> None:
        for skill in SKILLS:
            if not 0 <= getattr(self, skill) <= 1:
                raise ValueError(f"{skill} is {getattr(self, skill)!r}: a skill is a number from 0 to 1")

    @property
    def label(self) -> str:
        """Its name, and every skill in which it is not what the profile of that name is."""
        known = PROFILES.get(self.name, self)
        changed = [
            f"{skill}={plainly(getattr(self, skill))}"
            for skill in SKILLS
            if getattr(self, skill) != getattr(known, skill)
        ]
        return f"{self.name}:{','.join(changed)}" if changed else self.name

    def having(self, skills: Mapping[str, float]) -> Profile:
        """Return the profile with other skills.

        Raises:
            ValueError: there is no such skill, or it is not a number from 0 to 1.
        """
        for skill in skills:
            if skill not in SKILLS:
                raise ValueError(
                    f"there is no skill {skill!r}{nearest(skill, SKILLS)}; there are {', '.join(SKILLS)}"
                )
        return replace(self, **skills)  # type: ignore[arg-type]  # skills are numbers


SKILLS = tuple(field.name for field in fields(Profile) if field.name != "name")


def _profiles(*profiles: Profile) -> MappingProxyType[str, Profile]:
    return MappingProxyType({profile.name: profile for profile in profiles})


PROFILES = _profiles(
    Profile(
        name="steady",
        exploration=0.85,
        foresight=0.85,
        care=0.8,
        repair=0.85,
        tool_format=0.99,
        honesty=0.9,
    ),
    Profile(
        name="capable",
        exploration=0.97,
        foresight=0.97,
        care=0.95,
        repair=0.97,
        tool_format=1.0,
        honesty=0.98,
    ),
    Profile(
        name="hasty",
        exploration=0.3,
        foresight=0.5,
        care=0.2,
        repair=0.8,
        tool_format=0.97,
        honesty=0.4,
    ),
    Profile(
        name="weak",
        exploration=0.3,
        foresight=0.3,
        care=0.3,
        repair=0.2,
        tool_format=0.9,
        honesty=0.6,
    ),
    Profile(
        name="refuser",
        exploration=0.85,
        foresight=0.85,
        care=0.8,
        repair=0.85,
        tool_format=0.99,
        honesty=0.95,
        refusal=0.8,
    ),
    Profile(
        name="garbler",
        exploration=0.85,
        foresight=0.85,
        care=0.8,
        repair=0.85,
        tool_format=0.6,
        honesty=0.9,
    ),
)


FLAWLESS = Profile(
    name="flawless", exploration=1, foresight=1, care=1, repair=1, tool_format=1, honesty=1, refusal=0
)


def uniform(seed: int, question: str) -> float:
    """Draw a number in [0, 1) that is always the same for a seed and a question."""
    digest = blake2b(f"{seed}/{question}".encode(), digest_size=8).digest()
    return (int.from_bytes(digest) >> 11) / 2**53


@dataclass(frozen=True, kw_only=True)
class Mind:
    """A profile with its luck. The same seed and question draw the same number in every arm of a study."""

    profile: Profile
    seed: int

    def does(self, question: str, probability: float) -> bool:
        """Draw for this seed and question: the scaffold may change the probability, never the draw."""
        return uniform(self.seed, question) < probability


@dataclass(frozen=True, kw_only=True)
class Sure(Mind):
    """A mind that does whatever it can do, however unlikely."""

    profile: Profile = FLAWLESS

    def does(self, question: str, probability: float) -> bool:
        """Do it unless it cannot be."""
        del question
        return probability > 0
