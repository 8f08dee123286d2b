"""What a simulated subject is good at, and how its luck is drawn."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from types import MappingProxyType

__all__ = ["PROFILES", "Mind", "Profile"]


@dataclass(frozen=True, kw_only=True)
class Profile:
    """Skills between 0 and 1. None is a probability of success: that emerges from the world."""

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


@dataclass(frozen=True, kw_only=True)
class Mind:
    """A profile with its luck. The same seed and question draw the same number in every arm of a study."""

    profile: Profile
    seed: int

    def does(self, question: str, probability: float) -> bool:
        """Draw for this seed and question: the scaffold may change the probability, never the draw."""
        digest = blake2b(f"{self.seed}/{question}".encode(), digest_size=8).digest()
        return int.from_bytes(digest) / 2**64 < probability
