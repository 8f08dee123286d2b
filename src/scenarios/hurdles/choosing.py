"""Which hurdles a world gets, and how much of each: by name and dose, or by its seed."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from random import Random
from typing import TYPE_CHECKING

from scenarios.hurdles.catalogue import HURDLES
from scenarios.hurdles.protocol import MOST_DOSE

if TYPE_CHECKING:
    from scenarios.hurdles.protocol import Hurdle
    from scenarios.site import Site

__all__ = ["Obstacles", "drawn"]


@dataclass(frozen=True, kw_only=True)
class Obstacles:
    """Hurdles and their doses: all of them in each world, or, `by_seed`, a subset that its seed draws.

    Raises:
        ValueError: there is no such hurdle, or no such dose.
    """

    doses: tuple[tuple[str | Hurdle, int], ...]
    """A hurdle by name, or one of your own, and its dose."""
    by_seed: bool = False

    def __post_init__(self) -> None:
        for hurdle, dose in self.doses:
            name = _named(hurdle).name
            if not 1 <= dose <= MOST_DOSE:
                raise ValueError(f"hurdle {name!r} at dose {dose}: doses go from 1 to {MOST_DOSE}")

    @classmethod
    def of(cls, *, by_seed: bool = False, **doses: int) -> Obstacles:
        """Name hurdles with underscores for dashes: `Obstacles.of(taken_port=2)`."""
        return cls(doses=tuple((k.replace("_", "-"), v) for k, v in doses.items()), by_seed=by_seed)

    @property
    def hurdles(self) -> tuple[tuple[Hurdle, int], ...]:
        """Each with its dose, in order of planting."""
        return tuple((_named(hurdle), dose) for hurdle, dose in self.doses)

    @property
    def mark(self) -> str:
        """Short enough to stand in a scenario's name."""
        parts = [f"{hurdle.name}{dose}" for hurdle, dose in self.hurdles]
        return ".".join([*parts, *(["seeded"] if self.by_seed else [])]) or "clear"

    def chosen(self, seed: int, site: Site) -> tuple[tuple[Hurdle, int], ...]:
        """Return what this seed's world gets.

        Raises:
            ValueError: a hurdle that every world is to get does not fit this one.
        """
        fitting = tuple((hurdle, dose) for hurdle, dose in self.hurdles if hurdle.fits(site))
        if self.by_seed:
            return tuple(fitting[index] for index in drawn(len(fitting), seed))
        for hurdle, _ in self.hurdles:
            if not hurdle.fits(site):
                raise ValueError(f"the hurdle {hurdle.name!r} does not fit: there is nothing that it spoils")
        return fitting


def drawn(count: int, seed: int) -> tuple[int, ...]:
    """Return a seed's subset of so many things: each size is equally likely, and so is each set of a size."""
    random = Random(f"hurdles {seed}")  # noqa: S311 -- worlds must repeat
    return tuple(sorted(random.sample(range(count), random.randint(0, count))))


def _named(hurdle: str | Hurdle) -> Hurdle:
    if not isinstance(hurdle, str):
        return hurdle
    if hurdle not in HURDLES:
        near = get_close_matches(hurdle, list(HURDLES), n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"there is no hurdle {hurdle!r}: choose from {', '.join(HURDLES)}{hint}")
    return HURDLES[hurdle]
