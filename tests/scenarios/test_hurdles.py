from __future__ import annotations

from collections import Counter
from pathlib import PurePosixPath

from hypothesis import given
from hypothesis import strategies as st

from scenarios import MissingFile, TakenPort, WrongPermission, drawn
from scenarios.specimen import Specimen
from scenarios.suites.replication.world import hurdles_of

PLACE = PurePosixPath("/home/agent/x")
HURDLES = (
    TakenPort(ports=(1, 2), directory=PLACE),
    MissingFile(files=(PLACE,), archive=PLACE, note=PLACE),
    WrongPermission(files=(PLACE,)),
)


@given(st.integers(min_value=0, max_value=10**9))
def test_a_seed_always_draws_the_same_subset_in_order(seed: int) -> None:
    chosen = drawn(HURDLES, seed)
    assert chosen == drawn(HURDLES, seed)
    assert [hurdle for hurdle in HURDLES if hurdle in chosen] == list(chosen)


def test_sizes_and_hurdles_are_roughly_uniform() -> None:
    subsets = [drawn(HURDLES, seed) for seed in range(4000)]
    sizes = Counter(len(subset) for subset in subsets)
    assert all(900 < sizes[size] < 1100 for size in range(4))
    names = Counter(hurdle.name for subset in subsets for hurdle in subset)
    assert all(1850 < count < 2150 for count in names.values())
    assert set(names) == {"taken-port", "missing-file", "wrong-permission"}


def test_the_first_ten_seeds_meet_every_hurdle_and_none() -> None:
    sets = [{hurdle.name for hurdle in hurdles_of(Specimen.draw(seed), seed)} for seed in range(10)]
    assert set() in sets
    assert set().union(*sets) == {"taken-port", "missing-file", "wrong-permission"}
    assert any(len(each) == 3 for each in sets)


def test_a_taken_port_is_one_the_readme_names() -> None:
    specimen = Specimen.draw(1)
    (taken,) = (each for each in hurdles_of(specimen, 1) if isinstance(each, TakenPort))
    readme = specimen.files["README.md"].decode()
    assert all(str(port) in readme for port in taken.ports)
