"""A pace finds what a provider bears and stays there, on a clock that jumps, against modelled servers."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from virtual_clock import run_on_virtual_clock

from scaffold.broker import ADAPTIVE, Pace, Pacer
from scaffold.models import Patience

MINUTE_S = 60.0


@dataclass
class Modelled:
    """Bears so many requests at once, so many in a minute, and stumbles now and then."""

    at_once: int = 10**6
    per_minute: int = 10**6
    stumbles: float = 0.0
    says_when: bool = False
    seconds: tuple[float, float] = (0.5, 1.5)
    seed: int = 0
    answered: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    most: int = 0
    _under_way: int = 0
    _recent: deque[float] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self._lots = random.Random(self.seed)  # noqa: S311 - a lot, not a secret

    async def ask(self) -> float | None:
        """Answer after a while with None, or refuse at once with how long is to be waited."""
        now = asyncio.get_running_loop().time()
        while self._recent and self._recent[0] <= now - MINUTE_S:
            self._recent.popleft()
        full = len(self._recent) >= self.per_minute
        if full or self._under_way >= self.at_once or self._lots.random() < self.stumbles:
            self.refused.append(now)
            return int(self._recent[0] + MINUTE_S + 1 - now) if full and self.says_when else 0.0
        self._recent.append(now)
        self._under_way += 1
        self.most = max(self.most, self._under_way)
        await asyncio.sleep(self._lots.uniform(*self.seconds))
        self._under_way -= 1
        self.answered.append(asyncio.get_running_loop().time())
        return None

    def later(self, after: float) -> tuple[int, int]:
        """Answers and refusals from then on."""
        return sum(t > after for t in self.answered), sum(t > after for t in self.refused)


async def use(server: Modelled, pacer: Pacer, *, trials: int, until: float) -> int:
    """Have trials ask one thing after the other, and again where refused; return how many gave up."""
    clock = asyncio.get_running_loop().time
    patience = Patience()
    gave_up = 0

    async def call() -> bool:
        attempt, waited = 1, 0.0
        while True:
            place = await pacer.enter()
            asked = await server.ask()
            if asked is None:
                pacer.leave(place)
                return True
            pause = patience.pause(attempt=attempt, waited_s=waited, asked_s=asked or None)
            pacer.leave(place, "refused", asked_s=asked if pause else 0.0, rest_s=pause or 0.0)
            if pause is None:
                return False
            await asyncio.sleep(pause)
            attempt, waited = attempt + 1, waited + pause

    async def trial() -> None:
        nonlocal gave_up
        while clock() < until:
            gave_up += not await call()

    await asyncio.gather(*(trial() for _ in range(trials)))
    return gave_up


@settings(max_examples=12, deadline=None)
@given(bears=st.integers(1, 60), more=st.integers(1, 60), seed=st.integers(0, 1000))
def test_what_a_server_bears_at_once_is_found_and_held(bears: int, more: int, seed: int) -> None:
    server, pacer = Modelled(at_once=bears, seed=seed), Pacer(ADAPTIVE)
    gave_up = run_on_virtual_clock(use(server, pacer, trials=bears + more, until=300.0))
    answered, refused = server.later(100.0)
    assert bears <= pacer.level.at_once <= bears + 1
    assert answered >= 0.9 * 200 * bears, "of what it bears, at a second for each"
    assert refused <= 12, "a step beyond is tried now and then, and less and less often"
    assert gave_up == 0


@pytest.mark.parametrize("says_when", [True, False])
@pytest.mark.parametrize("per_minute", [30, 120, 600])
def test_what_a_server_bears_in_a_minute_is_used(per_minute: int, says_when: bool) -> None:  # noqa: FBT001 - parametrized
    server, pacer = Modelled(per_minute=per_minute, says_when=says_when), Pacer(ADAPTIVE)
    gave_up = run_on_virtual_clock(use(server, pacer, trials=16, until=900.0))
    answered, refused = server.later(300.0)
    assert answered >= 0.85 * 10 * per_minute
    assert refused <= answered + 600 * 1.3, "hardly more than one a second is asked in vain"
    assert gave_up <= 0.02 * len(server.answered)


def test_a_server_that_stumbles_is_not_taken_for_one_that_is_overloaded() -> None:
    server, pacer = Modelled(stumbles=0.05), Pacer(ADAPTIVE)
    run_on_virtual_clock(use(server, pacer, trials=40, until=600.0))
    answered, _ = server.later(100.0)
    assert answered >= 500 * 40 * 0.15
    assert pacer.level.at_once >= 6


def test_a_server_that_gets_better_is_asked_more() -> None:
    async def run() -> None:
        server, pacer = Modelled(at_once=4), Pacer(ADAPTIVE)
        using = asyncio.create_task(use(server, pacer, trials=40, until=900.0))
        await asyncio.sleep(100)
        assert pacer.level.at_once <= 5
        server.at_once = 30
        await using
        assert pacer.level.at_once >= 25

    run_on_virtual_clock(run())


def test_limits_that_were_set_are_never_passed() -> None:
    server, pacer = Modelled(), Pacer(Pace(at_once=7, per_minute=100))
    run_on_virtual_clock(use(server, pacer, trials=40, until=400.0))
    begun = [t for t in server.answered if t > 100]
    assert server.most <= 7
    assert all(after - before >= MINUTE_S - 1.1 for before, after in zip(begun, begun[100:], strict=False))
    assert len(begun) >= 480


def test_what_one_call_is_told_to_wait_holds_for_all() -> None:
    async def run() -> list[float]:
        pacer = Pacer(ADAPTIVE)
        clock = asyncio.get_running_loop().time
        pacer.leave(await pacer.enter(), "refused", asked_s=30.0)
        begun = []

        async def one() -> None:
            place = await pacer.enter()
            begun.append(clock())
            pacer.leave(place)

        await asyncio.gather(*(one() for _ in range(5)))
        return begun

    assert all(when == pytest.approx(30.0) for when in run_on_virtual_clock(run()))


@settings(max_examples=60, deadline=None)
@given(
    pace=st.sampled_from(
        [ADAPTIVE, Pace(at_once=1), Pace(at_once=3, per_minute=20), Pace(per_minute=5, adaptive=False)]
    ),
    seed=st.integers(0, 10**6),
    callers=st.integers(1, 60),
)
def test_whoever_gives_up_the_others_get_their_turn(pace: Pace, seed: int, callers: int) -> None:
    lots = random.Random(seed)  # noqa: S311 - a lot, not a secret
    ends = ("answered", "refused", "late", "broken")

    async def run() -> None:
        pacer = Pacer(pace)
        done = 0

        async def one() -> None:
            nonlocal done
            await asyncio.sleep(lots.uniform(0, 5))
            place = await pacer.enter()
            try:
                await asyncio.sleep(lots.uniform(0, 3))
            finally:
                rest = lots.choice([0.0, 0.0, 1.0, 7.0])
                pacer.leave(place, lots.choice(ends), asked_s=rest, rest_s=rest)  # type: ignore[arg-type]
            done += 1

        async def impatient() -> None:
            task = asyncio.create_task(one())
            await asyncio.sleep(lots.uniform(0, 8))
            task.cancel()
            await asyncio.wait([task])

        patient = [asyncio.create_task(one()) for _ in range(callers)]
        await asyncio.gather(*(impatient() for _ in range(callers)), *patient)
        assert done >= callers
        assert pacer._under_way == 0
        assert not pacer._queue

    run_on_virtual_clock(run())
