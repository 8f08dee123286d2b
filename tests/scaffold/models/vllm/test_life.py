"""The life of a server, against a real program that is started as vLLM is and speaks the same HTTP."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import structlog
from hosted_programs import until
from langchain_core.messages import HumanMessage

from scaffold import Broker, Budget, ModelFailed, SubjectUnavailable
from scaffold.errors import AnotherModel

if TYPE_CHECKING:
    from vllm_subjects import StandIn

    from scaffold.protocols import Model

pytestmark = pytest.mark.anyio


def gone(pid: int) -> bool:
    """Whether a process has ended; one that nobody has waited for yet counts as ended."""
    try:
        return "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return True


def all_gone(stand_in: StandIn) -> bool:
    return all(gone(life[which]) for life in stand_in.lives for which in ("pid", "child"))


async def said(model: Model, words: str = "hello") -> str:
    return (await model.ask([HumanMessage(words)], tools=())).text


async def test_a_server_is_started_answers_and_leaves_nothing(stand_in: StandIn) -> None:
    async with stand_in.subject().connect() as model:
        reply = await model.ask([HumanMessage("hello")], tools=())
        (life,) = stand_in.lives
        assert reply.text == f"{life['pid']} hello"
        assert reply.usage.prompt_tokens == 7
        assert not gone(life["child"])
    assert all_gone(stand_in)
    assert life["argv"][:2] == ["serve", "org/model"]
    assert life["key"] not in " ".join(life["argv"])
    assert "life 0 of org/model" in stand_in.log


async def test_equal_settings_are_one_server_and_others_another(stand_in: StandIn) -> None:
    async with AsyncExitStack() as stack:
        subjects = [stand_in.subject(), stand_in.subject(), stand_in.subject(model="org/other")]
        models = await asyncio.gather(*(stack.enter_async_context(s.connect()) for s in subjects[:1]))
        models += [await stack.enter_async_context(subject.connect()) for subject in subjects[1:]]
        one, same, other = [(await said(model)).split()[0] for model in models]
        assert one == same != other
    assert len(stand_in.lives) == 2
    assert all_gone(stand_in)


async def test_a_server_stays_until_the_last_who_uses_it_has_left(stand_in: StandIn) -> None:
    subject = stand_in.subject()
    async with subject.connect() as later:
        async with subject.connect():
            pass
        assert await said(later)
    assert all_gone(stand_in)


async def test_one_who_does_not_wait_for_the_start_takes_it_from_nobody(stand_in: StandIn) -> None:
    subject = stand_in.subject()

    async def use() -> str:
        async with subject.connect() as model:
            return await said(model)

    hasty, patient = asyncio.ensure_future(use()), asyncio.ensure_future(use())
    await asyncio.sleep(0)
    hasty.cancel()
    assert await patient
    assert hasty.cancelled()
    assert len(stand_in.lives) == 1
    assert all_gone(stand_in)


async def test_a_server_that_dies_is_started_again_and_the_call_is_made_again(stand_in: StandIn) -> None:
    with structlog.testing.capture_logs() as told:
        async with stand_in.subject(dies_at=3).connect() as model:
            answers = [await said(model, str(number)) for number in range(4)]
    first, second = stand_in.lives
    assert answers == [f"{first['pid']} 0", f"{first['pid']} 1", f"{second['pid']} 2", f"{second['pid']} 3"]
    (word,) = [each for each in told if each["log_level"] == "warning"]
    assert word["event"] == "vLLM died and is started again"
    assert word["cause"] == "it ended with status 3: RuntimeError: the engine broke"
    assert all_gone(stand_in)


async def test_calls_under_way_and_later_ones_wait_for_the_second_life(stand_in: StandIn) -> None:
    async with stand_in.subject().connect() as model:
        await said(model)
        os.kill(stand_in.lives[0]["pid"], signal.SIGKILL)
        answers = await asyncio.gather(*(said(model, str(number)) for number in range(20)))
        second = stand_in.lives[1]
        assert sorted(answers) == sorted(f"{second['pid']} {number}" for number in range(20))
        assert gone(stand_in.lives[0]["child"])


async def test_the_wait_for_a_second_life_is_not_the_trials_time(stand_in: StandIn) -> None:
    async with stand_in.subject(held=True).connect() as model:
        first = stand_in.lives[0]["pid"]
        os.kill(first, signal.SIGKILL)
        await until(lambda: len(stand_in.lives) == 2)
        lineage = Broker(model).admit(budget=Budget(seconds=0.5))
        call = asyncio.ensure_future(lineage.first.ask([HumanMessage("hello")]))
        await asyncio.sleep(0.7)
        assert not call.done()
        (stand_in.folder / "go").touch()
        reply = await call
        assert reply.text == f"{stand_in.lives[1]['pid']} hello"
        assert lineage.meter.stood > 0.5


async def test_a_second_death_fails_every_call_and_quotes_the_log(stand_in: StandIn) -> None:
    async with stand_in.subject(dies_at=2).connect() as model:
        await said(model)
        await said(model)
        for _ in range(2):
            with pytest.raises(ModelFailed, match=r"died twice .* RuntimeError: the engine broke \(log: /"):
                await said(model)
    assert len(stand_in.lives) == 2
    assert all_gone(stand_in)


async def test_one_that_does_not_start_again_fails_calls_and_not_the_study(stand_in: StandIn) -> None:
    subject = stand_in.subject(
        model="org/model", says="OSError: [Errno 28] No space left on device", starts_wrong=0
    )
    async with subject.connect() as model:
        (stand_in.folder / "vllm").unlink()
        os.kill(stand_in.lives[0]["pid"], signal.SIGKILL)
        with pytest.raises(ModelFailed, match="it ended with status 137"):
            await said(model)


async def test_one_that_does_not_start_says_why_and_what_to_do(stand_in: StandIn) -> None:
    subject = stand_in.subject(says="KeyError: 'invalid tool call parser: x (chose from { hermes })'")
    with structlog.testing.capture_logs() as told, pytest.raises(SubjectUnavailable) as raised:
        async with subject.connect():
            pass
    assert (
        "ended with status 1 before it answered: KeyError: 'invalid tool call parser" in raised.value.reason
    )
    assert "tool-call-parser=NAME" in raised.value.mend
    lines = [word["line"] for word in told if word["event"] == "vLLM said"]
    assert any("life 0 of org/model" in line for line in lines)
    assert len(stand_in.lives) == 1
    assert all_gone(stand_in)


async def test_one_that_never_answers_is_given_up(stand_in: StandIn) -> None:
    with pytest.raises(SubjectUnavailable, match=r"did not answer within 1\.5 s"):
        async with stand_in.subject(silent=True, start_timeout_s=1.5).connect():
            pass
    assert all_gone(stand_in)


async def test_a_port_that_was_taken_meanwhile_is_changed(stand_in: StandIn) -> None:
    subject = stand_in.subject(says="OSError: [Errno 98] Address already in use", starts_wrong=2)
    async with subject.connect() as model:
        assert await said(model)
    ports = [life["argv"][life["argv"].index("--port") + 1] for life in stand_in.lives]
    assert len(set(ports)) == 3


async def test_an_answer_comes_in_pieces_and_one_that_stops_in_the_middle_is_cut_off(
    stand_in: StandIn,
) -> None:
    async with replace(stand_in.subject(), stream=True).connect() as model:
        reply = await model.ask([HumanMessage("hello")], tools=())
        assert reply.text.endswith(" hello")
        assert reply.first_s is not None
    hanging = replace(stand_in.subject(hangs=True), stream=True, idle_timeout_s=0.2)
    async with hanging.connect() as model:
        with pytest.raises(ModelFailed, match=r"fell silent for 0\.2 s"):
            await said(model)


async def test_an_answer_of_another_model_is_none_unless_its_name_was_said(stand_in: StandIn) -> None:
    subject = stand_in.subject(calls_itself="stranger")
    async with subject.connect() as model:
        with pytest.raises(AnotherModel, match="stranger"):
            await said(model)
    async with replace(subject, served=("stran*",)).connect() as model:
        assert await said(model)


async def test_cancelling_a_study_ends_its_server(stand_in: StandIn) -> None:
    started = asyncio.Event()

    async def study() -> None:
        async with stand_in.subject().connect():
            started.set()
            await asyncio.sleep(1000)

    task = asyncio.ensure_future(study())
    await started.wait()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert all_gone(stand_in)


PROGRAM = """
import asyncio, sys
sys.path[:0] = {paths!r}
from vllm_subjects import StandIn
from pathlib import Path

async def main():
    async with StandIn(Path({folder!r})).subject().connect():
        print("up", flush=True)
        await asyncio.sleep(1000)

asyncio.run(main())
"""


def test_redline_killed_leaves_nothing_of_its_server(stand_in: StandIn) -> None:
    tests = str(Path(__file__).parents[3])
    text = PROGRAM.format(paths=[tests, *sys.path], folder=str(stand_in.folder))
    with subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE) as redline:
        assert redline.stdout is not None
        assert b"up\n" in iter(redline.stdout.readline, b"")
        assert not gone(stand_in.lives[0]["pid"])
        redline.kill()
    deadline = time.monotonic() + 60
    while not all_gone(stand_in):
        assert time.monotonic() < deadline
        time.sleep(0.05)
