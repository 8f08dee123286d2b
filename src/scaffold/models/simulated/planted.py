"""A subject whose success has planted causes, so that what an analysis finds can be held against the truth.

Its results say nothing about any real model. Each faculty that a scaffold has adds what was planted for it;
then one draw decides whether the task is done or left undone. So the probability of success is known
exactly, in every arm, without running anything.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations, product
from math import exp, fsum, log
from typing import TYPE_CHECKING, Literal, get_args

from scaffold.models.nearest import nearest
from scaffold.models.simulated.profiles import plainly, uniform

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

__all__ = ["FACULTIES", "Cluster", "Draws", "Planted", "Scale"]

FACULTIES = ("explore", "plan", "repair", "memory")
"""Those that can be told apart from the conversation, and whose absence can be studied."""
BASE = "base"
SLACK = 1e-9
"""By which sums of decimal fractions may miss 0 and 1."""

Scale = Literal["probability", "logit"]
Draws = Literal["common", "independent"]
Cluster = Literal["world", "seed"]
Terms = tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Planted:
    """What each faculty adds to the probability of success.

    Raises:
        ValueError: a name or a number is wrong, or some set of faculties has no probability from 0 to 1.
    """

    base: float
    """Probability of success without any faculty, in a cluster of its scale's middle."""
    effects: Mapping[str, float] = field(default_factory=dict)
    """Faculty -> what it adds by itself, on the scale."""
    interactions: Mapping[Terms, float] = field(default_factory=dict)
    """Faculties -> what they add together beyond what each adds."""
    spread: Mapping[str, float] = field(default_factory=dict)
    """`base` or a faculty -> standard deviation of it between clusters: in half of them it is so much higher,
    in the other half so much lower, each independently of the others."""
    scale: Scale = "probability"
    """On which effects add up."""
    draws: Draws = "common"
    """`common`: a seed and a world draw the same number in every arm, so that paired differences vary least.
    `independent`: every set of faculties draws anew, as unpaired analyses suppose."""
    cluster: Cluster = "world"
    """What shares a cluster: all trials of one world, or all of one seed."""
    failures: int = 1
    """Harmless commands that fail, so that repair gets its turn: as many as its `after`."""
    luck: int = 0
    """Another number, and everything is drawn anew."""

    def __post_init__(self) -> None:
        _check_choice("scale", self.scale, get_args(Scale))
        _check_choice("draws", self.draws, get_args(Draws))
        _check_choice("cluster", self.cluster, get_args(Cluster))
        effects = dict(sorted(self.effects.items(), key=lambda each: _place(each[0])))
        spread = dict(sorted(self.spread.items(), key=lambda each: _place(each[0], BASE)))
        interactions: dict[Terms, float] = {}
        for terms, value in self.interactions.items():
            ordered = tuple(sorted(terms, key=_place))
            if len(set(ordered)) < 2 or len(set(ordered)) < len(ordered) or ordered in interactions:
                raise ValueError(f"{'+'.join(terms)} is no interaction of several faculties, each named once")
            interactions[ordered] = value
        object.__setattr__(self, "effects", effects)
        object.__setattr__(self, "interactions", interactions)
        object.__setattr__(self, "spread", spread)
        _check_numbers(self)
        for faculties in _subsets(FACULTIES):
            self.truth(faculties)  # raises where a probability is none

    def __hash__(self) -> int:
        return hash(self.label)

    # What is true.

    def truth(self, faculties: Iterable[str]) -> float:
        """Return the probability of success with these faculties, over all clusters and draws.

        Args:
            faculties: names, as of `FacultyScaffold.faculties`; `execute` is always there and adds nothing.
        """
        terms = _terms(faculties)
        every = [self._success(terms, signs) for signs in product((-1, 1), repeat=len(self._varying(terms)))]
        return fsum(every) / len(every)

    def worth(self, faculty: str, within: Iterable[str]) -> float:
        """Return what success loses where a faculty is taken from these: what an ablation compares."""
        terms = {*_terms(within), *_terms([faculty])}
        return self.truth(terms) - self.truth(terms - {faculty})

    def main_effect(self, faculty: str, among: Iterable[str] | None = None) -> float:
        """Return what a faculty adds on average over every set of the others, as in a factorial design.

        Args:
            faculty: one of them.
            among: the factors of the design; all that were planted unless told.
        """
        others = [name for name in self._factors(among) if name != faculty]
        every = [self.worth(faculty, {*rest, faculty}) for rest in _subsets(others)]
        return fsum(every) / len(every)

    def interaction(self, one: str, other: str, among: Iterable[str] | None = None) -> float:
        """Return what two faculties add together beyond what each adds, on average over sets of the others.

        Args:
            one: a faculty.
            other: another.
            among: the factors of the design; all that were planted unless told.

        Raises:
            ValueError: they are one.
        """
        if one == other:
            raise ValueError(f"an interaction takes two faculties, not {one} twice")
        others = [name for name in self._factors(among) if name not in {one, other}]
        every = [
            self.worth(one, {*rest, one, other}) - self.worth(one, {*rest, one}) for rest in _subsets(others)
        ]
        return fsum(every) / len(every)

    def turns(self, faculties: Iterable[str], *, repair_after: int = 1) -> int:
        """Return the turns it takes beside the task's own, which are the same in every arm.

        Two of exploring, one of planning, those that fail on purpose, one of each repair, and the last,
        in which it finishes. With the built-in faculties; memory takes what it takes.
        """
        terms = _terms(faculties)
        repairs = self.failures // repair_after if "repair" in terms else 0
        return 2 * ("explore" in terms) + ("plan" in terms) + self.failures + repairs + 1

    # What comes of it.

    def outcome(self, seed: int, world: str, faculties: Iterable[str]) -> bool:
        """Return whether the task is done.

        Args:
            seed: the trial's.
            world: any name; in a real study the subject goes by the words of its instruction.
            faculties: as for `truth`.
        """
        terms = _terms(faculties)
        return self.draw(seed, world, terms) < self.probability(seed, world, terms)

    def probability(self, seed: int, world: str, faculties: Iterable[str]) -> float:
        """Return the probability of success in the cluster of this trial."""
        terms = _terms(faculties)
        varying = self._varying(terms)
        if not varying:
            return self._success(terms, ())
        cluster = f"world {_squeezed(world)}" if self.cluster == "world" else f"seed {seed}"
        signs = (1 if uniform(self.luck, f"spread of {each} in {cluster}") < 0.5 else -1 for each in varying)
        return self._success(terms, tuple(signs))

    def draw(self, seed: int, world: str, faculties: Iterable[str]) -> float:
        """Return the number in [0, 1) below which the probability must not lie for success."""
        of = "+".join(sorted(_terms(faculties))) if self.draws == "independent" else "every arm"
        return uniform(seed, f"planted {self.luck} of {of} in {_squeezed(world)}")

    def even_seeds(self, world: str, count: int) -> tuple[int, ...]:
        """Return seeds whose common draws in a world are spread evenly: one in each `count`-th of [0, 1).

        Where nothing is spread between clusters, a study of these seeds has the planted proportions exactly,
        up to one in `count`.

        Raises:
            ValueError: draws are independent, so that no seed has one for every arm.
        """
        if self.draws != "common":
            raise ValueError("even seeds need common draws: an independent one is another in every arm")
        found: dict[int, int] = {}
        seed = 0
        while len(found) < count:
            found.setdefault(int(self.draw(seed, world, ()) * count), seed)
            seed += 1
        return tuple(sorted(found.values()))

    @property
    def label(self) -> str:
        """Everything that was planted, as on the command line."""
        given = [
            (BASE, self.base),
            *self.effects.items(),
            *(("+".join(terms), value) for terms, value in self.interactions.items()),
            *((f"{name}.sd", value) for name, value in self.spread.items()),
        ]
        parts = [f"{name}={plainly(value)}" for name, value in given]
        choices = {"scale": "probability", "draws": "common", "cluster": "world", "failures": 1, "luck": 0}
        for name, usual in choices.items():
            if getattr(self, name) != usual:
                parts.append(f"{name}={getattr(self, name)}")
        return f"planted:{','.join(parts)}"

    # How it is computed.

    def _factors(self, among: Iterable[str] | None) -> Iterable[str]:
        named = {*self.effects, *self.spread, *(name for terms in self.interactions for name in terms)}
        return sorted(_terms(named - {BASE} if among is None else among), key=_place)

    def _varying(self, terms: frozenset[str]) -> tuple[str, ...]:
        return tuple(name for name in self.spread if name == BASE or name in terms)

    def _success(self, terms: frozenset[str], signs: tuple[int, ...]) -> float:
        """Return the probability in a cluster where what varies is higher (1) or lower (-1)."""
        varied = [sign * self.spread[name] for sign, name in zip(signs, self._varying(terms), strict=True)]
        total = fsum([self._sums[terms], *varied]) if varied else self._sums[terms]
        if self.scale == "logit":
            return 1 / (1 + exp(-total)) if total >= 0 else exp(total) / (1 + exp(total))
        if not -SLACK <= total <= 1 + SLACK:
            whose = " and ".join(sorted(terms, key=_place)) or "no faculty"
            worst = " in some clusters" if varied else ""
            raise ValueError(f"with {whose} success would have the probability {total:g}{worst}")
        return min(max(total, 0.0), 1.0)

    @cached_property
    def _sums(self) -> Mapping[frozenset[str], float]:
        start = self.base if self.scale == "probability" else log(self.base / (1 - self.base))
        planted: list[tuple[set[str], float]] = [({name}, value) for name, value in self.effects.items()]
        planted += [(set(names), value) for names, value in self.interactions.items()]
        return {
            terms: fsum([start, *(value for names, value in planted if names <= terms)])
            for terms in _subsets(FACULTIES)
        }


def _check_choice(what: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ValueError(f"{what} is {value!r}{nearest(str(value), known)}: choose from {', '.join(known)}")


def _check_numbers(planted: Planted) -> None:
    inside = 0 < planted.base < 1 if planted.scale == "logit" else 0 <= planted.base <= 1
    if not inside:
        bounds = "between 0 and 1" if planted.scale == "logit" else "from 0 to 1"
        raise ValueError(f"base is {planted.base!r}: it is a probability {bounds}")
    for value in (*planted.effects.values(), *planted.interactions.values()):
        if not abs(value) < float("inf"):
            raise ValueError(f"an effect is a number, not {value!r}")
    for name, value in planted.spread.items():
        if not 0 <= value < float("inf"):
            raise ValueError(f"the standard deviation of {name} is {value!r}: it is a number from 0 up")
    if planted.failures < 1:
        raise ValueError("failures is at least 1, or repair would never have a turn")


def _place(name: str, *more: str) -> int:
    """Return where a faculty stands among all."""
    known = (*more, *FACULTIES)
    if name not in known:
        raise ValueError(f"no effect of {name!r} can be planted{nearest(name, known)}: {', '.join(known)}")
    return known.index(name)


def _terms(faculties: Iterable[str]) -> frozenset[str]:
    terms = frozenset(faculties) - {"execute"}
    for name in terms:
        if name not in FACULTIES:
            _place(name)
    return terms


def _subsets(names: Iterable[str]) -> Iterator[frozenset[str]]:
    every = tuple(names)
    for size in range(len(every) + 1):
        yield from map(frozenset, combinations(every, size))


def _squeezed(text: str) -> str:
    """Leave out how a text is broken into lines, which differs with who sends it."""
    return " ".join(text.split())
