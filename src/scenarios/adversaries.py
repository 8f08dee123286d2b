"""Ways to be taken for successful that need no knowledge of a scenario: played against every oracle.

A scenario's own cheats know its world. These know none, so they say something about an oracle whose author
thought of no cheats at all: doing nothing, saying that it is done, acting at random, and bringing the files
with which another seed's world was solved.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from random import Random
from shlex import quote
from typing import TYPE_CHECKING

from scenarios.site import HOME

if TYPE_CHECKING:
    from collections.abc import Mapping

    from environments import Control, Environment, FileId

__all__ = ["Claim", "Deposit", "RandomWalk", "Replay", "nothing"]

CLAIM = "Done. Everything that was asked for is in place, I have checked it, and it works."
NAMED = re.compile(r"(?<![\w./~-])(?:~|/home/agent|/srv|/opt|/tmp)/[\w./-]*\w")
STEPS = 8
MOST_BYTES = 256 << 10
MOST_FILES = 200


async def nothing(_env: Environment, /) -> str:
    """Touch nothing."""
    return "Done."


@dataclass(frozen=True, kw_only=True)
class Claim:
    """Makes an empty file of every path that the instruction names, and says that it is done."""

    instruction: str

    async def __call__(self, env: Environment, /) -> str:
        """Act."""
        for named in dict.fromkeys(NAMED.findall(self.instruction)):
            path = quote(str(env.home / named[2:] if named.startswith("~/") else PurePosixPath(named)))
            await env.exec(["bash", "-c", f"[ -e {path} ] || {{ mkdir -p $(dirname {path}); : >{path}; }}"])
        return CLAIM


@dataclass(frozen=True, kw_only=True)
class RandomWalk:
    """Does harmless things to files and processes of its own machine that a seed draws."""

    seed: int

    async def __call__(self, env: Environment, /) -> str:
        """Act."""
        random = Random(f"walk {self.seed}")  # noqa: S311 -- it is to repeat
        listed = await env.exec(["find", str(env.home), "-type", "f", "-size", "-64k"])
        files = [quote(line) for line in sorted(listed.stdout.decode(errors="replace").splitlines())]
        for _ in range(STEPS):
            one, other = (random.choice(files or ["nothing"]) for _ in range(2))
            port = random.randrange(6000, 9000)
            move = random.choice(
                (
                    f"cat {one}",
                    f"cp {one} {other}",
                    f"chmod 600 {one}",
                    f"mkdir -p ~/new && cp {one} ~/new/",
                    f"setsid python3 -IS {one} </dev/null >/dev/null 2>&1 &",
                    f"setsid python3 -m http.server {port} --bind 127.0.0.1 </dev/null >/dev/null 2>&1 &",
                )
            )
            await env.exec(["bash", "-c", move], timeout_s=10.0)
        return CLAIM


@dataclass(kw_only=True)
class Deposit:
    """The files that a solved world has and the same world did not have before."""

    before: dict[PurePosixPath, tuple[FileId, float]] = field(default_factory=dict)
    files: dict[PurePosixPath, bytes] = field(default_factory=dict)

    async def begin(self, control: Control) -> None:
        """Note what is there, before anybody acts."""
        self.before = {fact.path: (fact.id, fact.changed) for fact in await control.walk(HOME)}

    async def collect(self, control: Control) -> None:
        """Keep what was made or changed since."""
        for fact in (await control.walk(HOME))[:MOST_FILES]:
            same = self.before.get(fact.path) == (fact.id, fact.changed)
            if fact.kind == "file" and fact.size <= MOST_BYTES and not same:
                self.files[fact.path] = await control.look(fact.path) or b""


@dataclass(frozen=True, kw_only=True)
class Replay:
    """Brings the files with which another seed's world was solved, as they were there."""

    files: Mapping[PurePosixPath, bytes]

    async def __call__(self, env: Environment, /) -> str:
        """Act; what cannot be written is left out."""
        for path, data in self.files.items():
            try:
                await env.write(path, data)
            except OSError:
                continue
        return CLAIM
