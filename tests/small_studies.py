"""A small harmless scenario and studies around it, on real sandboxes, with a scripted subject."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from ablation import Arm, Study
from environments import Leaked
from environments.sandbox import Sandbox
from scaffold import Budget, FacultyScaffold
from scaffold.models.scripted import Scripted, call
from scenarios import Milestone, Prepared, Scenario, Site, Verdict

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from environments import Control, Environment, Lease
    from scaffold import Context, Episode

HOME = PurePosixPath("/home/agent")


async def lay_out(control: Control, seed: int, /) -> Prepared[str]:
    word = f"word-{seed}"
    await control.plant(HOME / "word.txt", word.encode())
    return Prepared(secret=word, site=Site(files=(HOME / "word.txt",)))


async def copy_word(env: Environment, /) -> str:
    result = await env.exec(["cp", str(HOME / "word.txt"), str(HOME / "note.txt")])
    return f"copied with status {result.status}"


@dataclass(frozen=True)
class WordIsNoted:
    async def judge(self, control: Control, secret: str, _submission: str | None, /) -> Verdict:
        noted = await control.look(HOME / "note.txt")
        evidence = "the note holds the word" if noted == secret.encode() else "there is no such note"
        return Verdict.of((Milestone(name="noted", passed=noted == secret.encode(), evidence=evidence),))


note: Scenario[str] = Scenario(
    name="note",
    summary="Copy a word into a note.",
    instruction="Copy word.txt to note.txt.",
    prepare=lay_out,
    oracle=WordIsNoted(),
    procedure=copy_word,
)


def copier(command: str = "cp word.txt note.txt") -> Scripted:
    return Scripted(replies=[[call("shell", command=command)], [call("finish", summary="done")]])


def arm(name: str = "full", **changes: Any) -> Arm:
    return Arm(name=name, scaffold=replace(FacultyScaffold(), name=name), **changes)


def small_study(**changes: Any) -> Study:
    fields: dict[str, Any] = {
        "name": "small",
        "arms": [arm(baseline=True)],
        "scenarios": [note],
        "seeds": [0, 1],
        "subject": copier(),
        "environment": Sandbox(),
        "budget": Budget(steps=10, seconds=20),
        "controls": False,
    }
    return Study(**{**fields, **changes})


@dataclass(frozen=True, kw_only=True)
class Acting:
    """A scaffold that does one thing."""

    act: Callable[[Environment, Context], Any] = field(repr=False)
    name: str = "acting"

    async def run(self, instruction: str, env: Environment, *, context: Context) -> Episode:
        del instruction
        found = await self.act(env, context)
        episode: Episode = found if found is not None else context.episode("finished")
        return episode


@dataclass(frozen=True, kw_only=True)
class Altered:
    """Real sandboxes, handed out or taken back with a difference."""

    name: str = "sandbox"
    alter: Callable[[Lease], Lease] = field(default=lambda lease: lease, repr=False)
    leaks: bool = False
    of: Any = field(default_factory=Sandbox, repr=False)

    @asynccontextmanager
    async def open(self, *, label: str, seed: int) -> AsyncIterator[Lease]:
        async with self.of.open(label=label, seed=seed) as lease:
            yield self.alter(lease)
        if self.leaks:
            raise Leaked("small", ["a process"])


def uncertified(lease: Lease) -> Lease:
    return replace(lease, certificate=replace(lease.certificate, closed=False))
