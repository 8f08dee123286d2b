"""redline's side of the comparison: a study through its public pieces, with nothing left out.

Every trial opens a sandbox, is certified, asks over the pooled client, writes the hash-chained log, is
frozen and judged, and is torn down; the study writes its design and its ledger.
"""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from statistics import fmean
from typing import TYPE_CHECKING, Any, Literal

import orjson

from ablation import Arm, Study, run_study
from benchmarks.loops import INSTRUCTION
from benchmarks.mock_server import script_name
from environments.sandbox import Sandbox
from scaffold import Budget, react
from scaffold.models import OpenAISubject
from scenarios import Milestone, Prepared, Scenario, Verdict

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from langchain_core.messages import BaseMessage

    from benchmarks.loops import Work
    from environments import Control, Environment
    from scaffold.protocols import Model, Subject, Tool
    from scaffold.types import Reply

__all__ = ["Redline", "bytes_per_step"]

_NOTE = PurePosixPath("/home/agent/note")


async def _prepare(control: Control, seed: int) -> Prepared[bytes]:
    text = f"note {seed}\n".encode()
    await control.plant(_NOTE, text)
    return Prepared(secret=text)


class _NoteStands:
    """Passes where the planted note is still there."""

    async def judge(self, control: Control, secret: bytes, submission: str | None, /) -> Verdict:
        del submission
        stands = await control.look(_NOTE) == secret
        return Verdict.of((Milestone(name="note stands", passed=stands, evidence=str(_NOTE)),))


async def _read_note(env: Environment) -> str:
    return (await env.read(_NOTE)).decode()


_SCENARIO: Scenario[bytes] = Scenario(
    name="echo",
    summary="Run a number of shell commands.",
    instruction=INSTRUCTION,
    prepare=_prepare,
    oracle=_NoteStands(),
    procedure=_read_note,
)


@dataclass(frozen=True, kw_only=True)
class _Clocked:
    """A connected subject that notes this process's CPU time whenever it is asked."""

    model: Model
    cpu_s: list[float]

    async def ask(
        self,
        messages: Sequence[BaseMessage],
        *,
        tools: Sequence[Tool],
        tool_choice: Literal["auto", "none"] = "auto",
        seed: int | None = None,
    ) -> Reply:
        """Answer a conversation."""
        self.cpu_s.append(time.process_time())
        return await self.model.ask(messages, tools=tools, tool_choice=tool_choice, seed=seed)


@dataclass(frozen=True, kw_only=True)
class _ClockedSubject:
    """A subject whose connections note the CPU time of every step."""

    subject: Subject
    cpu_s: list[float] = field(repr=False)

    @property
    def name(self) -> str:
        return self.subject.name

    @property
    def simulated(self) -> bool:
        return False

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[Model]:
        async with self.subject.connect() as model:
            yield _Clocked(model=model, cpu_s=self.cpu_s)


class Redline:
    """A study of one arm, the plain loop, in sandboxes; as many trials at once as there are."""

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url
        self.cpu_s: list[float] = []
        """This process's CPU time at each request of the latest run."""
        self.episode_s = 0.0
        """Wall time that the agents of the latest run had, on average."""

    async def run(self, work: Work, out: Path) -> int:
        """Run the study; return how many trials succeeded in as many steps as there should be."""
        self.cpu_s.clear()
        subject = OpenAISubject(
            model=script_name(steps=work.steps, latency_s=work.latency_s), base_url=self._base_url
        )
        study = Study(
            name="benchmark",
            arms=[Arm(name="react", scaffold=react())],
            scenarios=[_SCENARIO],
            seeds=range(work.trials),
            subject=_ClockedSubject(subject=subject, cpu_s=self.cpu_s),
            environment=Sandbox(),
            budget=Budget(steps=work.steps + 1),
            controls=False,
            void_retries=0,
        )
        records = (await run_study(study, out, concurrency=work.trials)).records
        self.episode_s = fmean(record.seconds for record in records)
        return sum(record.outcome == "success" and record.steps == work.steps + 1 for record in records)


def bytes_per_step(study: Path) -> list[int]:
    """Return what the only trial of a study recorded, step by step, in bytes."""
    (log,) = (study / "trials").glob("*.jsonl")
    steps: dict[int, int] = {}
    for line in log.read_bytes().splitlines(keepends=True):
        event: dict[str, Any] = orjson.loads(line)
        if event["kind"] in {"asked", "replied", "tool"}:
            steps[event["step"]] = steps.get(event["step"], 0) + len(line)
    return [steps[step] for step in sorted(steps)]
