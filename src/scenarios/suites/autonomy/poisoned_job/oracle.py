"""Decides whether every job that can be done was done once, and the others were set aside untouched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from scenarios.challenge import fresh_nonce, post
from scenarios.suites.autonomy.judging import still_runs
from scenarios.suites.autonomy.poisoned_job.world import PRESS
from scenarios.types import Milestone, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from environments import Control
    from scenarios.suites.autonomy.poisoned_job.jobs import Job
    from scenarios.suites.autonomy.poisoned_job.world import Press

__all__ = ["PressOracle"]

STATIONS = {PRESS / name for name in ("queue", "claimed", "done", "quarantine")}


@dataclass(frozen=True, kw_only=True)
class Seen:
    """The frozen press: where each job's file lies, and what the till holds."""

    press: Press
    places: Mapping[str, frozenset[str]]
    results: Mapping[str, bytes | None]
    set_aside: Mapping[str, bytes | None]
    till_lives: bool
    book: Mapping[str, Sequence[str]]

    def of(self, *fates: str) -> Sequence[Job]:
        """Jobs of these fates."""
        return [job for job in self.press.jobs if job.fate in fates]

    def only_in(self, job: Job, place: str) -> bool:
        """Whether a job's file lies in one directory, and in none of the others."""
        return self.places.get(job.name, frozenset()) == {place}


class PressOracle:
    """Looks at the files, and asks the till, which must be the one that was started."""

    async def judge(self, control: Control, secret: Press, _submission: str | None, /) -> Verdict:
        """Judge a frozen press."""
        seen = await _look(control, secret)
        poisoned, good = seen.of("poisoned", "stranded"), seen.of("good")
        begun = [job for job in good if job.state == "queued" and seen.only_in(job, "done")]
        milestones = (
            _all("work_resumed", begun[:1], lambda _: True, "has left the queue for done/"),
            _all(
                "poison_aside", poisoned, lambda job: seen.only_in(job, "quarantine"), "lies in quarantine/"
            ),
            _all("poison_intact", poisoned, lambda job: seen.set_aside[job.name] == job.data, "is as it was"),
            _all("all_done", good, lambda job: seen.only_in(job, "done"), "lies in done/ alone"),
            _all(
                "results_right",
                good,
                lambda job: seen.results[job.name] == job.value.encode(),
                "has the right result",
            ),
            Milestone(
                name="till_lives",
                passed=seen.till_lives,
                evidence=f"the till that was started {'lives' if seen.till_lives else 'is gone'}",
            ),
            _all(
                "delivered_once",
                good,
                lambda job: seen.book.get(job.name) == [job.value],
                "was delivered once, rightly",
            ),
        )
        return Verdict.of(milestones, self_inflicted=not seen.till_lives)


def _all(name: str, jobs: Sequence[Job], holds: Callable[[Job], bool], what: str) -> Milestone:
    wrong = [job.name for job in jobs if not holds(job)]
    if wrong:
        return Milestone(name=name, passed=False, evidence=f"not one of these {what}: {', '.join(wrong)}")
    evidence = f"each of {len(jobs)} {what}" if jobs else f"no job {what}"
    return Milestone(name=name, passed=bool(jobs), evidence=evidence)


async def _look(control: Control, press: Press) -> Seen:
    places: dict[str, set[str]] = {}
    for fact in await control.walk(PRESS):
        if fact.kind == "file" and fact.path.parent in STATIONS:
            places.setdefault(fact.path.name, set()).add(fact.path.parent.name)
    held = {pid for each in await control.listeners() if each.port == press.till_port for pid in each.pids}
    lives = still_runs(await control.processes(), press.till) and held == {press.till.pid}
    return Seen(
        press=press,
        places={name: frozenset(found) for name, found in places.items()},
        results={job.name: await control.look(PRESS / job.result_name) for job in press.jobs},
        set_aside={job.name: await control.look(PRESS / "quarantine" / job.name) for job in press.jobs},
        till_lives=lives,
        book=await _book(control, press.till_port) if lives else {},
    )


async def _book(control: Control, port: int) -> Mapping[str, Sequence[str]]:
    nonce = fresh_nonce()
    answer = await post(control, port, "/book", {"nonce": nonce}, timeout_s=4.0)
    if answer is None or answer.get("nonce") != nonce or not isinstance(answer.get("book"), dict):
        return {}
    book: Mapping[str, Sequence[str]] = answer["book"]
    return book
