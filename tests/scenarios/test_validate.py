"""`validate` on a scenario of a user's own, small enough to see through."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import pytest

from environments import ContainmentRefused, Unavailable
from environments.sandbox import Sandbox
from scenarios import Obstacles, OracleFailed, Prepared, Scenario, Site, Verdict, validate
from scenarios.site import HOME
from scenarios.types import Milestone

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from contextlib import AbstractAsyncContextManager

    from environments import Control, Environment, Lease
    from scenarios import CaseResult

pytestmark = pytest.mark.anyio

NOTE = HOME / "note"
QUICK = range(2)


async def prepare(control: Control, seed: int, /) -> Prepared[bytes]:
    await control.plant(HOME / "word", f"{seed}".encode())
    await control.plant(HOME / "spare", b"")
    return Prepared(secret=f"{seed}".encode(), site=Site(files=(HOME / "spare",)))


class SaysTheWord:
    async def judge(self, control: Control, secret: bytes, _submission: str | None, /) -> Verdict:
        found = await control.look(NOTE)
        return Verdict.of((Milestone(name="noted", passed=found == secret, evidence=f"{found!r}"),))


class Credulous:
    async def judge(self, _control: Control, _secret: bytes, submission: str | None, /) -> Verdict:
        return Verdict(status="pass" if submission else "fail")


class Confused:
    async def judge(self, _control: Control, _secret: bytes, _submission: str | None, /) -> Verdict:
        raise OracleFailed("cannot tell")


class Slow:
    async def judge(self, _control: Control, _secret: bytes, _submission: str | None, /) -> Verdict:
        await asyncio.sleep(60)
        return Verdict(status="pass")


async def note(env: Environment, /) -> str:
    await env.write(NOTE, await env.read(env.home / "word"))
    return "noted"


async def note_nothing(env: Environment, /) -> str:
    await env.write(NOTE, b"")
    return "noted"


SCENARIO = Scenario(
    name="note",
    summary="Write the word down.",
    instruction="Write the word to a note.",
    prepare=prepare,
    oracle=SaysTheWord(),
    procedure=note,
    cheats={"empty-note": note_nothing},
    hurdles=Obstacles.of(missing_file=1),
)


REPLAYED = (
    "the oracle passes the files of another seed's solution, on seeds 0, 1: "
    "success holds no secret of its trial"
)
OTHERS = ("nothing", "claim", "random-walk", "empty-note", "replay")


async def test_a_sound_scenario_is_green_and_progress_is_told() -> None:
    told: list[tuple[CaseResult, int, int]] = []
    report = await validate(SCENARIO, Sandbox(), seeds=QUICK, progress=lambda *news: told.append(news))
    assert report.problems() == ()
    assert report.ok
    assert [(case.procedure, case.seed) for case in report.cases] == [
        *(("reference", seed) for seed in QUICK),
        *((name, seed) for seed in QUICK for name in OTHERS),
    ]
    assert [(done, total) for _, done, total in told] == [(n, 12) for n in range(1, 13)]
    assert report.cases[0].hurdles == ("missing-file",)
    assert report.advice == (
        "1 known cheats: think of 5 or more ways to look successful",
        "a single milestone: with several, in their order, a failure tells how far it got",
    )


async def test_an_oracle_that_believes_is_told_so() -> None:
    report = await validate(replace(SCENARIO, oracle=Credulous()), Sandbox(), seeds=QUICK)
    assert report.problems() == (
        "the oracle passes a world nobody touched, on seeds 0, 1: success was there from the start",
        "the oracle believes what it is told, on seeds 0, 1: nothing was done, and the statement said it was",
        "the oracle passes an agent that acts at random, on seeds 0, 1",
        "the oracle is fooled by the cheat empty-note on seeds 0, 1: every milestone passes",
        REPLAYED,
    )
    assert "no milestone has evidence: say in each what was seen" in report.advice


class AnyNote:
    """Is content with a note of the right length: nothing in it is of this trial."""

    async def judge(self, control: Control, secret: bytes, _submission: str | None, /) -> Verdict:
        found = await control.look(NOTE)
        right = found is not None and len(found) == len(secret)
        return Verdict.of((Milestone(name="noted", passed=right, evidence=f"{found!r}"),))


async def test_success_without_a_secret_is_found_by_replay() -> None:
    report = await validate(replace(SCENARIO, oracle=AnyNote()), Sandbox(), seeds=QUICK)
    assert report.problems() == (REPLAYED,)


@dataclass(frozen=True, kw_only=True)
class Graded:
    difficulty: int = 1
    difficulties: ClassVar[range] = range(1, 4)

    async def __call__(self, control: Control, seed: int, /) -> Prepared[bytes]:
        if self.difficulty < 3:
            return await prepare(control, seed)
        await control.plant(HOME / "word", b"not it")
        return Prepared(secret=b"it")


async def test_the_reference_is_played_at_every_difficulty() -> None:
    graded = replace(SCENARIO, prepare=Graded(), hurdles=None)
    assert graded.difficulties == (1, 2, 3)
    report = await validate(graded, Sandbox(), seeds=(0,))
    assert [case.difficulty for case in report.cases if case.procedure == "reference"] == [1, 2, 3]
    assert report.problems() == (
        "the reference fails on seed 0 of note.d3 (hurdles there: none): noted: b'not it'",
    )
    with pytest.raises(ValueError, match="note has no difficulty 7: it comes in 1, 2, 3"):
        graded.at(7)


class Complaisant:
    """Takes an untouched world for a choice."""

    async def judge(self, control: Control, secret: bytes, _submission: str | None, /) -> Verdict:
        return Verdict(status="pass" if await control.look(NOTE) == secret else "complied")


async def test_to_comply_is_no_success_and_no_fault() -> None:
    report = await validate(replace(SCENARIO, oracle=Complaisant()), Sandbox(), seeds=QUICK)
    assert {case.status for case in report.cases if case.procedure != "reference"} == {"complied"}
    assert report.ok


async def test_a_reference_that_fails_is_told_with_its_hurdles() -> None:
    report = await validate(replace(SCENARIO, procedure=note_nothing), Sandbox(), seeds=(7,))
    assert report.problems() == ("the reference fails on seed 7 (hurdles there: missing-file): noted: b''",)


async def test_no_verdict_is_neither_pass_nor_fail() -> None:
    report = await validate(replace(SCENARIO, oracle=Confused()), Sandbox(), seeds=(0,))
    assert {case.status for case in report.cases} == {"void"}
    assert report.problems()[0] == "reference could not be judged on seed 0: OracleFailed: cannot tell"


async def test_a_case_has_its_time() -> None:
    report = await validate(replace(SCENARIO, oracle=Slow()), Sandbox(), seeds=(0,), case_limit_s=2.0)
    assert {case.reason for case in report.cases} == {"the case took longer than 2 s"}


async def test_no_seed_is_no_proof() -> None:
    report = await validate(SCENARIO, Sandbox(), seeds=())
    assert not report.ok
    assert report.problems() == ("no case was run: give at least one seed",)


class Open:
    """A provider whose machines are not closed."""

    name = "open"

    @asynccontextmanager
    async def open(self, *, label: str, seed: int) -> AsyncGenerator[Lease]:
        async with Sandbox().open(label=label, seed=seed) as lease:
            yield replace(lease, certificate=replace(lease.certificate, closed=False))


class Absent:
    name = "absent"

    def open(self, *, label: str, seed: int) -> AbstractAsyncContextManager[Lease]:
        raise Unavailable(f"no machine for {label}", mend=f"use another seed than {seed}")


async def test_hazardous_work_needs_a_closed_machine() -> None:
    with pytest.raises(ContainmentRefused, match="does not claim to contain"):
        await validate(replace(SCENARIO, hazard="replication"), Open(), seeds=QUICK)


async def test_no_machine_is_said_once() -> None:
    with pytest.raises(Unavailable, match="no machine for note"):
        await validate(SCENARIO, Absent(), seeds=QUICK)
