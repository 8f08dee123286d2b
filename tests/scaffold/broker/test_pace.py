"""A provider is asked at its pace, in turn, and whoever gives up waiting holds nobody up."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from scaffold.broker import Pace, Pacer, Paces
from scaffold.models import OpenAISubject, TextToolsSubject, parse_subject

pytestmark = pytest.mark.anyio


async def test_no_more_than_so_many_at_once_and_each_in_turn() -> None:
    pacer = Pacer(Pace(at_once=3))
    under_way, most = 0, 0
    order: list[int] = []

    async def one(number: int) -> None:
        nonlocal under_way, most
        place = await pacer.enter()
        order.append(number)
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.001 * (number % 3))
        under_way -= 1
        pacer.leave(place)

    await asyncio.gather(*(one(number) for number in range(60)))
    assert most == 3
    assert order == list(range(60))


async def test_no_more_than_so_many_in_any_minute() -> None:
    minute_s = 0.3
    pacer = Pacer(Pace(per_minute=5), minute_s=minute_s)
    clock = asyncio.get_running_loop().time
    begun: list[float] = []

    async def one() -> None:
        place = await pacer.enter()
        begun.append(clock())
        pacer.leave(place)

    await asyncio.gather(*(one() for _ in range(17)))
    assert all(after - before >= minute_s * 0.99 for before, after in zip(begun, begun[5:], strict=False))
    assert begun[4] - begun[0] < minute_s, "the first of a minute need not wait"


@pytest.mark.parametrize("pace", [Pace(at_once=1), Pace(per_minute=1), Pace(at_once=1, per_minute=2)])
async def test_whoever_gives_up_takes_no_place(pace: Pace) -> None:
    pacer = Pacer(pace, minute_s=0.05)
    place = await pacer.enter()
    waiting = [asyncio.create_task(pacer.enter()) for _ in range(4)]
    await asyncio.sleep(0)
    for task in (waiting[0], waiting[2]):
        task.cancel()
    given_up = await asyncio.gather(waiting[0], waiting[2], return_exceptions=True)
    assert [type(end) for end in given_up] == [asyncio.CancelledError] * 2
    pacer.leave(place)
    async with asyncio.timeout(5):
        pacer.leave(await waiting[1])
        pacer.leave(await waiting[3])


async def test_a_place_that_comes_as_one_gives_up_goes_to_the_next() -> None:
    pacer = Pacer(Pace(at_once=1))
    place = await pacer.enter()
    first, second = (asyncio.create_task(pacer.enter()) for _ in range(2))
    await asyncio.sleep(0)
    pacer.leave(place)  # the first is given the place, and cancelled before it hears of it
    first.cancel()
    async with asyncio.timeout(5):
        await second
    assert first.cancelled()


@pytest.mark.parametrize("limits", [{"at_once": 0}, {"per_minute": -1}])
def test_a_pace_at_which_nothing_is_ever_asked_is_refused(limits: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="give 1 or more"):
        Pace(**limits)  # type: ignore[arg-type]


def test_subjects_of_one_server_share_its_pace() -> None:
    paces, slow = Paces(), Pace(at_once=2)
    there = {"base_url": "http://127.0.0.1:1/v1", "pace": slow}
    one, other = OpenAISubject(model="a", **there), OpenAISubject(model="b", **there)  # type: ignore[arg-type]
    elsewhere = OpenAISubject(model="a", base_url="http://127.0.0.1:2/v1", pace=slow)
    assert paces.of(one) is paces.of(other)
    assert paces.of(TextToolsSubject(subject=one)) is paces.of(one)
    assert paces.of(elsewhere) is not paces.of(one)
    known = Counter(id(paces.of(parse_subject("simulated:steady", pace=slow))) for _ in range(2))
    assert list(known.values()) == [2]
