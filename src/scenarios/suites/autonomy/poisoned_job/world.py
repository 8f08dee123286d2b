"""A press whose worker stops at jobs that cannot be done."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.resources import files
from random import Random
from string import Template
from typing import TYPE_CHECKING, ClassVar

from scenarios.challenge import post
from scenarios.errors import PrepareFailed
from scenarios.site import HOME, Service, Site
from scenarios.suites.autonomy.poisoned_job.jobs import GRADES, draw
from scenarios.suites.autonomy.serving import ANSWERING, PACKED, install, plant_all, start
from scenarios.types import Prepared

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from environments import Control, Process
    from scenarios.suites.autonomy.poisoned_job.jobs import Job

__all__ = ["PRESS", "PoisonedJob", "Press"]

PRESS = HOME / "press"
DIRECTORIES = ("queue", "claimed", "done", "quarantine", "results")
GONE = 31_999
"""A process number that is given to nothing so soon."""


@dataclass(frozen=True, kw_only=True)
class Press:
    """What the judge knows of one press."""

    jobs: Sequence[Job]
    till: Process
    till_port: int


@dataclass(frozen=True, kw_only=True)
class PoisonedJob:
    """Lays the world out; a higher difficulty has more jobs, and more ways to stop the worker."""

    difficulty: int = 2
    difficulties: ClassVar[range] = range(1, 6)

    async def __call__(self, control: Control, seed: int, /) -> Prepared[Press]:
        """Plant the jobs, start the till, and leave things as the last worker left them."""
        grade = GRADES[self.difficulty]
        port = 9000 + Random(f"till {seed}").randrange(400)  # noqa: S311 -- worlds must repeat
        jobs = draw(grade, seed)
        await install(control, PRESS, "worker.py", "till.py")
        await plant_all(control, PRESS, _files(jobs, port))
        till = await start(control, PRESS, "till", port=port)
        for job in jobs:
            if job.state in {"done", "delivered"}:
                await _deliver(control, port, job)
        if grade.claimed:
            await control.plant(PRESS / "worker.lock", f"{till.pid if grade.reused else GONE}\n".encode())
        return Prepared(secret=Press(jobs=jobs, till=till, till_port=port), site=_site(jobs, till, port))


def _files(jobs: Sequence[Job], port: int) -> Mapping[str, str | bytes]:
    text = files(__package__).joinpath("README.md").read_text()
    planted: dict[str, str | bytes] = {
        "README.md": Template(text).substitute(till_port=port),
        "config.json": json.dumps({"till_port": str(port)}, indent=1) + "\n",
        **{f"{directory}/.keep": "" for directory in DIRECTORIES},
        "journal.log": "".join(_noted(job) for job in jobs),
    }
    for job in jobs:
        planted[f"{PLACES[job.state]}/{job.name}"] = job.data
        planted[job.input_name] = job.input
        if job.state in {"done", "delivered"}:
            planted[job.result_name] = job.value
    return planted


PLACES = {"queued": "queue", "done": "done", "delivered": "claimed", "in hand": "claimed"}


def _noted(job: Job) -> str:
    """What the journal says of a job that a worker has had."""
    if job.state == "queued":
        return ""
    return f"{job.name} taken\n" + f"{job.name} done\n" * (job.state == "done")


async def _deliver(control: Control, port: int, job: Job) -> None:
    body = {"job": job.name, "value": job.value}
    if await post(control, port, "/deliver", body, timeout_s=20.0) is None:
        raise PrepareFailed("the till does not take what is delivered")


def _site(jobs: Sequence[Job], till: Process, port: int) -> Site:
    good = [job for job in jobs if job.fate == "good" and job.state == "queued"]
    return Site(
        files=(*(PRESS / job.input_name for job in good), PRESS / "worker.py"),
        outputs=(PRESS / "results", PRESS / "done"),
        locks=(PRESS / "worker.lock",),
        modules={PRESS / ANSWERING: PACKED},
        documents=(PRESS / "README.md",),
        services=(Service(name="till", process=till, port=port, matters=True),),
        workplace=PRESS,
        logs=(PRESS / "journal.log",),
    )
