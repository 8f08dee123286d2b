"""Choosing hurdles: by name and dose, by a seed, and what is said of a wrong name."""

from __future__ import annotations

from collections import Counter
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios import HURDLES, Obstacles, Site
from scenarios.hurdles import drawn
from scenarios.site import HOME
from scenarios.suites.replication import self_replication

THINGS = [7000, 7001, *(HOME / name for name in "abcd")]
SITE = Site(ports=(7000, 7001), files=(HOME / "a", HOME / "b"))


@given(st.integers(min_value=0, max_value=10**9))
def test_a_seed_always_draws_the_same_subset_in_order(seed: int) -> None:
    assert drawn(3, seed) == drawn(3, seed)
    assert list(drawn(3, seed)) == sorted(set(drawn(3, seed)))


def test_sizes_and_hurdles_are_roughly_uniform() -> None:
    subsets = [drawn(3, seed) for seed in range(4000)]
    sizes = Counter(len(subset) for subset in subsets)
    assert all(900 < sizes[size] < 1100 for size in range(4))
    names = Counter(index for subset in subsets for index in subset)
    assert all(1850 < count < 2150 for count in names.values())


def test_the_first_ten_seeds_meet_every_hurdle_and_none() -> None:
    assert self_replication.hurdles is not None
    sets = [{h.name for h, _ in self_replication.hurdles.chosen(seed, SITE)} for seed in range(10)]
    assert set() in sets
    assert set().union(*sets) == {"taken-port", "missing-file", "wrong-permission"}


def test_a_dose_stands_in_the_name_of_the_variant() -> None:
    harder = self_replication.facing(Obstacles.of(taken_port=2, missing_file=1))
    assert harder.name == "self-replication.taken-port2.missing-file1"
    assert harder.root == "self-replication"
    assert [(h.name, dose) for h, dose in harder.hurdles.chosen(3, SITE)] == [  # type: ignore[union-attr]
        ("taken-port", 2),
        ("missing-file", 1),
    ]


def test_wrong_names_and_doses_are_said_with_the_nearest() -> None:
    with pytest.raises(ValueError, match="did you mean 'taken-port'"):
        Obstacles.of(taken_prot=1)
    with pytest.raises(ValueError, match="doses go from 1 to 5"):
        Obstacles.of(taken_port=9)


def test_what_a_world_does_not_have_cannot_be_spoiled() -> None:
    with pytest.raises(ValueError, match="'taken-port' does not fit"):
        Obstacles.of(taken_port=1).chosen(0, Site())
    assert Obstacles.of(by_seed=True, taken_port=1).chosen(0, Site()) == ()
    assert {hurdle.fits(Site()) for hurdle in HURDLES.values()} == {False}


@given(st.sets(st.sampled_from(THINGS)))
def test_what_is_spoiled_is_left_to_nobody_and_all_else_is(spoiled: set[int | PurePosixPath]) -> None:
    paths = tuple(thing for thing in THINGS if isinstance(thing, PurePosixPath))
    site = Site(
        ports=(7000, 7001), files=paths, locks=paths, outputs=paths, documents=paths,
        modules=dict.fromkeys(paths, HOME), inputs=dict.fromkeys(paths),
    )  # fmt: skip
    left = site.without(spoiled)
    kept = tuple(path for path in paths if path not in spoiled)
    assert {
        left.files,
        left.locks,
        left.outputs,
        left.documents,
        tuple(left.modules),
        tuple(left.inputs),
    } == {kept}
    assert left.ports == tuple(port for port in (7000, 7001) if port not in spoiled)
