"""Planted causes: what is true of them, exactly, and that what comes of it agrees."""

from __future__ import annotations

import subprocess
import sys
from base64 import b64encode
from itertools import chain, combinations
from math import exp, log, sqrt
from typing import TYPE_CHECKING

import anyio
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from talks import Talk, ask, talk

from scaffold.models import PROFILES
from scaffold.models.simulated import Planted, SimulatedTransport, knows
from scaffold.models.simulated.planted import FACULTIES
from scenarios.catalogue import CATALOGUE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from scaffold.models.simulated.planted import Scale

pytestmark = pytest.mark.anyio

SCALES: tuple[Scale, ...] = ("probability", "logit")
THREE = ("explore", "plan", "repair")
TASK = "Make the statement for 2031-04 at the desk in /home/agent/desk."
LOOP = ["# Explore", "# Plan", "# Execute", "# Repair", "# Execute"]
KNOWN = Planted(
    base=0.2, effects={"explore": 0.1, "plan": 0.3, "repair": 0.2}, interactions={("plan", "repair"): 0.1}
)


def subsets(names: Iterable[str]) -> list[tuple[str, ...]]:
    every = tuple(names)
    return list(chain.from_iterable(combinations(every, size) for size in range(len(every) + 1)))


@st.composite
def planted(draw: st.DrawFn) -> Planted:
    """Anything that leaves every probability where it belongs, on either scale."""
    scale: Scale = draw(st.sampled_from(SCALES))
    most = 1.5 if scale == "logit" else 0.06
    effect = st.floats(-most, most)
    names = st.sampled_from(FACULTIES)
    pairs = st.sampled_from([terms for terms in subsets(FACULTIES) if len(terms) in {2, 3}])
    return Planted(
        base=draw(st.floats(0.46, 0.54)),
        effects=draw(st.dictionaries(names, effect)),
        interactions=draw(st.dictionaries(pairs, effect, max_size=2)),
        spread=draw(st.dictionaries(st.sampled_from(["base", *FACULTIES]), st.floats(0, 0.02))),
        scale=scale,
        draws=draw(st.sampled_from(["common", "independent"])),
        cluster=draw(st.sampled_from(["world", "seed"])),
    )


def test_on_the_probability_scale_effects_add_up() -> None:
    assert KNOWN.truth(()) == pytest.approx(0.2)
    assert KNOWN.truth(("explore", "execute")) == pytest.approx(0.3)
    assert KNOWN.truth(("plan", "repair")) == pytest.approx(0.8)
    assert KNOWN.truth((*THREE, "execute")) == pytest.approx(0.9)
    assert KNOWN.worth("plan", THREE) == pytest.approx(0.4)
    assert KNOWN.worth("plan", ("plan", "explore")) == pytest.approx(0.3)
    assert KNOWN.main_effect("plan") == pytest.approx(0.35)
    assert KNOWN.main_effect("plan", ["plan", "explore"]) == pytest.approx(0.3)
    assert KNOWN.main_effect("explore") == pytest.approx(0.1)
    assert KNOWN.interaction("plan", "repair") == pytest.approx(0.1)
    assert KNOWN.interaction("plan", "explore") == pytest.approx(0.0)


def test_on_the_logit_scale_they_do_so_in_log_odds() -> None:
    odds = Planted(base=0.2, effects={"plan": 1.0, "repair": 0.5}, scale="logit")
    assert odds.truth(("plan", "repair")) == pytest.approx(1 / (1 + exp(-(log(0.25) + 1.5))))
    assert odds.interaction("plan", "repair") != pytest.approx(0.0, abs=1e-3)
    assert odds.truth(THREE) == odds.truth(("plan", "repair"))


@given(planted())
def test_truth_is_the_mean_over_the_clusters(truth: Planted) -> None:
    """What varies is higher in half of the clusters and lower in the other half, so the mean is found."""
    if truth.scale == "logit" or not truth.spread:
        return
    without = Planted(base=truth.base, effects=truth.effects, interactions=truth.interactions)
    for terms in subsets(FACULTIES):
        assert truth.truth(terms) == pytest.approx(without.truth(terms))


@given(planted())
def test_a_factorial_analysis_of_the_truth_finds_what_was_planted(truth: Planted) -> None:
    cells = {frozenset(terms): truth.truth(terms) for terms in subsets(FACULTIES)}
    for one, other in combinations(FACULTIES, 2):
        others = [name for name in FACULTIES if name not in {one, other}]
        both = [
            cells[frozenset({*rest, one, other})]
            - cells[frozenset({*rest, one})]
            - cells[frozenset({*rest, other})]
            + cells[frozenset(rest)]
            for rest in subsets(others)
        ]
        assert truth.interaction(one, other, FACULTIES) == pytest.approx(sum(both) / len(both), abs=1e-9)
        assert truth.interaction(one, other) == pytest.approx(truth.interaction(other, one), abs=1e-9)
        alone = [
            cells[frozenset({*rest, one})] - cells[frozenset(rest)] for rest in subsets({*others, other})
        ]
        assert truth.main_effect(one, FACULTIES) == pytest.approx(sum(alone) / len(alone), abs=1e-9)


@given(truth=planted(), seed=st.integers(0, 2**40), world=st.text(max_size=20))
def test_the_outcome_is_whether_the_draw_lies_below_the_probability(
    truth: Planted, seed: int, world: str
) -> None:
    draws = set()
    for terms in subsets(THREE):
        drawn = truth.draw(seed, world, terms)
        draws.add(drawn)
        assert truth.outcome(seed, world, terms) == (drawn < truth.probability(seed, world, terms))
    assert len(draws) == (1 if truth.draws == "common" else 8)


@pytest.mark.parametrize("truth", [KNOWN, Planted(base=0.3, effects={"plan": 1.0}, scale="logit")])
def test_over_an_even_grid_of_draws_success_has_the_planted_proportion_exactly(truth: Planted) -> None:
    seeds = truth.even_seeds("w", 200)
    strata = sorted(int(truth.draw(seed, "w", ()) * 200) for seed in seeds)
    assert strata == list(range(200))
    for terms in subsets(THREE):
        done = sum(truth.outcome(seed, "w", terms) for seed in seeds)
        assert abs(done - 200 * truth.truth(terms)) < 1
    for terms in subsets(THREE):
        if truth is KNOWN:  # whose probabilities are whole two-hundredths
            done = sum(truth.outcome(seed, "w", terms) for seed in seeds)
            assert done == round(200 * truth.truth(terms))


@pytest.mark.parametrize("draws", ["common", "independent"])
def test_over_many_seeds_it_has_it_within_binomial_bounds(draws: str) -> None:
    """The seeds are these, so that this is so each time: four standard errors leave one in 16,000 out."""
    truth = Planted(base=0.2, effects={"plan": 0.3, "repair": 0.1}, draws=draws)  # type: ignore[arg-type]
    trials = 20_000
    paired = 0
    for terms in ((), ("plan",), ("plan", "repair")):
        done = sum(truth.outcome(seed, "w", terms) for seed in range(trials))
        expected = truth.truth(terms)
        assert abs(done / trials - expected) < 4 * sqrt(expected * (1 - expected) / trials)
    for seed in range(trials):
        paired += truth.outcome(seed, "w", ()) and not truth.outcome(seed, "w", ("plan",))
    # With common draws nobody fails with a plan who succeeds without one.
    assert paired == 0 if draws == "common" else abs(paired / trials - 0.2 * 0.5) < 0.01


@pytest.mark.parametrize("cluster", ["world", "seed"])
def test_clusters_differ_as_planted_and_agree_on_the_whole(cluster: str) -> None:
    truth = Planted(
        base=0.4,
        effects={"plan": 0.2},
        spread={"base": 0.1, "plan": 0.05},
        cluster=cluster,  # type: ignore[arg-type]
    )
    cells = [(0, f"w{i}") if cluster == "world" else (i, "w") for i in range(4000)]
    found = {truth.probability(seed, world, ("plan",)) for seed, world in cells}
    assert sorted(found) == pytest.approx([0.45, 0.55, 0.65, 0.75])
    assert sorted({truth.probability(*cell, ()) for cell in cells}) == pytest.approx([0.3, 0.5])
    mean = sum(truth.probability(seed, world, ("plan",)) for seed, world in cells) / len(cells)
    assert mean == pytest.approx(truth.truth(("plan",)), abs=4 * sqrt(0.0125 / len(cells)))
    if cluster == "world":
        assert len({truth.probability(seed, "w7", ("plan",)) for seed in range(50)}) == 1
    else:
        assert len({truth.probability(7, f"w{i}", ("plan",)) for i in range(50)}) == 1


def test_other_luck_draws_everything_anew() -> None:
    lucks = [Planted(base=0.5, spread={"base": 0.2}, luck=luck) for luck in range(2)]
    outcomes = [[each.outcome(seed, "w", ()) for seed in range(64)] for each in lucks]
    odds = [[each.probability(0, f"w{world}", ()) for world in range(64)] for each in lucks]
    assert outcomes[0] != outcomes[1]
    assert odds[0] != odds[1]


def test_it_goes_by_the_words_of_a_world_however_they_are_broken_into_lines() -> None:
    assert KNOWN.draw(1, "make\n\nit so ", ()) == KNOWN.draw(1, "make it so", ())


def test_what_it_cannot_tell_is_refused() -> None:
    with pytest.raises(ValueError, match="no effect of 'exlore' can be planted"):
        KNOWN.truth(["exlore"])
    with pytest.raises(ValueError, match="takes two faculties"):
        KNOWN.interaction("plan", "plan")
    with pytest.raises(ValueError, match="even seeds need common draws"):
        Planted(base=0.5, draws="independent").even_seeds("w", 2)


@pytest.mark.parametrize("prompts", [LOOP, LOOP[1:], ["# Explore", "# Execute", ""], ["", ""]])
@settings(max_examples=20)
@given(seed=st.integers(0, 2**31 - 1))
async def test_a_conversation_comes_to_the_planted_outcome(prompts: list[str], seed: int) -> None:
    met = {prompt[2:].lower() for prompt in prompts if prompt} & set(FACULTIES)
    said = await talk(SimulatedTransport(KNOWN), TASK, prompts, seed=seed, most=4)
    assert "Planted: stumble" in said.said
    undone = said.finished == "The task is not done: this simulated subject left it undone."
    assert undone != KNOWN.outcome(seed, TASK, met)
    begun = any(line.startswith(("Look: readme", "Do:")) for line in said.said)
    assert begun == KNOWN.outcome(seed, TASK, met)


async def test_it_fails_as_often_as_repair_waits_for() -> None:
    patient = Planted(base=0.0, effects={"repair": 1.0}, failures=2)
    prompts = ["# Execute", "", "# Repair", "# Execute"]
    said = await talk(SimulatedTransport(patient), TASK, prompts, seed=1, most=1)
    assert said.said == [
        "Planted: stumble",
        "Planted: stumble",
        "Nothing has to be mended: the command was meant to fail.",
        "Look: readme",
    ]
    assert patient.turns(["repair"], repair_after=2) == 4
    assert patient.turns(["repair"], repair_after=1) == 5


async def test_what_was_decided_stands_whatever_turns_up_later() -> None:
    """Where the task itself fails, repair may have its first turn when everything is decided."""
    without = Planted(base=1.0, effects={"repair": -1.0})
    said = await talk(SimulatedTransport(without), TASK, ["# Execute", "", "# Repair"], seed=1, most=2)
    assert said.said[:2] == ["Planted: stumble", "Look: readme"]
    assert said.said[3:] == ["Look: listing", "Look: notes"]
    first = await talk(SimulatedTransport(without), TASK, ["# Execute", "# Repair", "# Execute"], seed=1)
    assert first.finished.startswith("The task is not done")


async def test_a_note_carries_what_was_met_and_what_was_decided() -> None:
    """Where memory begins the conversation anew, nothing but the subject's own note is left."""
    sure = SimulatedTransport(Planted(base=0.0, effects={"explore": 0.5, "plan": 0.5}))
    first = await talk(sure, TASK, [*LOOP[:2], "# Memory"], seed=1)
    note = written_in(first)
    assert note.startswith("Planted: had explore memory plan; open\n")
    again = await talk(sure, TASK, [f"# Note\n\nIt was this:\n\n{note}\n\n# Execute", ""], seed=1, most=1)
    assert again.said == ["Planted: stumble", "Look: readme"]


async def test_what_was_decided_before_a_note_stands_after_it() -> None:
    """Neither memory nor what comes with it counts for a trial that was decided without."""
    without = SimulatedTransport(Planted(base=1.0, effects={"memory": -1.0}))
    first = await talk(without, TASK, ["# Execute", "", "# Memory"], seed=1, most=2)
    note = written_in(first)
    assert note.startswith("Planted: had ; decided\n")
    again = await talk(without, TASK, [f"# Note\n\n{note}\n\n# Execute"], seed=1, most=2)
    assert again.said == ["Look: listing", "Look: notes"]
    early = await talk(without, TASK, ["# Memory"], seed=1)
    left = await talk(without, TASK, [f"# Note\n\n{written_in(early)}\n\n# Execute", ""], seed=1)
    assert left.finished.startswith("The task is not done")


def written_in(talk: Talk) -> str:
    message: dict[str, str] = orjson.loads(talk.passed[-1][1])["choices"][0]["message"]
    return message["content"]


def test_it_knows_what_it_could_do() -> None:
    assert knows(TASK)
    assert all(knows(scenario.instruction) for name, scenario in CATALOGUE.items() if name != "move-service")
    assert not knows("Write a poem.")


async def passed() -> list[tuple[bytes, bytes]]:
    """Requests of several conversations, with their answers."""
    found = []
    for seed in range(4):
        for prompts in (LOOP, LOOP[2:]):
            said = await talk(SimulatedTransport(PROFILES["hasty"]), TASK, prompts, seed=seed, most=6)
            found += said.passed
    return found


async def test_an_answer_follows_from_the_request_alone_whatever_was_asked_before() -> None:
    pairs = await passed()
    assert len({request for request, _ in pairs}) > 40
    one, used = SimulatedTransport(PROFILES["hasty"]), SimulatedTransport(PROFILES["hasty"])
    for request, answer in [*reversed(pairs), *pairs[::3], *pairs]:
        assert await ask(used, request) == answer
    assert [await ask(one, request) for request, _ in pairs[5:6]] == [pairs[5][1]]


FRESH = """
import asyncio, base64, sys
from scaffold.models import PROFILES
from scaffold.models.simulated import SimulatedTransport

async def main():
    transport = SimulatedTransport(PROFILES["hasty"])
    for line in sys.stdin:
        answer = await transport.post("/chat/completions", base64.b64decode(line))
        print(base64.b64encode(answer.body).decode())

asyncio.run(main())
"""


def test_a_process_of_its_own_answers_the_same() -> None:
    pairs = anyio.run(passed)
    lines = "\n".join(b64encode(request).decode() for request, _ in pairs)
    process = subprocess.run(
        [sys.executable, "-c", FRESH],
        input=lines,
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONHASHSEED": "7", "PYTHONPATH": ":".join(sys.path)},
    )
    assert process.stdout.split() == [b64encode(answer).decode() for _, answer in pairs]
