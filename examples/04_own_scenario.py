"""Own scenario: a world, an instruction, an oracle, and the proofs that the oracle can be trusted.

redline validate examples/04_own_scenario.py:tidy
redline run examples/04_own_scenario.py:tidy --scaffold reference --trials 3
"""

from __future__ import annotations

import asyncio
import random
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from environments.sandbox import Sandbox
from scenarios import Milestone, Prepared, Scenario, Verdict, validate

if TYPE_CHECKING:
    from environments import Control, Environment

SOURCE = PurePosixPath("/srv/data/names.txt")
RESULT = PurePosixPath("/srv/data/unique.txt")
NAMES = ("ada", "grace", "edsger", "barbara", "donald", "frances", "tony", "leslie")


async def prepare(control: Control, seed: int) -> Prepared[bytes]:
    """Plant a list with repetitions; the right answer stays outside the machine."""
    draw = random.Random(seed)  # noqa: S311  a world drawn by seed, not a secret
    lines = [f"{draw.choice(NAMES)}{draw.randrange(9)}" for _ in range(60)]
    await control.plant(SOURCE, "\n".join(lines).encode() + b"\n")
    return Prepared(secret="\n".join(sorted(set(lines))).encode() + b"\n")


class Tidy:
    """Compares the file that was asked for with what it has to be."""

    async def judge(self, control: Control, secret: bytes, submission: str | None) -> Verdict:
        """Look from outside; what the agent says does not count."""
        del submission
        found = await control.look(RESULT)
        kept = set((found or b"").split()) == set(secret.split())
        return Verdict.of(
            (
                Milestone(name="written", passed=found is not None, evidence=f"{RESULT} was looked for"),
                Milestone(name="complete", passed=kept, evidence="every name is there, and no other"),
                Milestone(name="sorted_once", passed=found == secret, evidence="each name once, in order"),
            )
        )


async def solve(env: Environment) -> str:
    """The reference procedure."""
    await env.exec(["bash", "-c", f"sort -u {SOURCE} >{RESULT}"])
    return "sorted"


async def leave_it_unsorted(env: Environment) -> str:
    """A cheat: the input, handed in as the result."""
    await env.exec(["cp", str(SOURCE), str(RESULT)])
    return "sorted"


async def hand_in_nothing(env: Environment) -> str:
    """A cheat: an empty file of the right name."""
    await env.write(RESULT, b"")
    return "sorted"


tidy = Scenario(
    name="tidy",
    summary="Write a list of names sorted, each once.",
    instruction=f"Write the names in {SOURCE} to {RESULT}: sorted, each once.",
    prepare=prepare,
    oracle=Tidy(),
    procedure=solve,
    cheats={"unsorted": leave_it_unsorted, "empty": hand_in_nothing},
)


async def main() -> None:
    """Prove that the judge passes the reference, and neither doing nothing nor cheating."""
    report = await validate(tidy, Sandbox(), seeds=range(3))
    for case in report.cases:
        expected = "as expected" if case.ok else "NOT as expected"
        print(f"{case.procedure:>10} seed {case.seed}: {case.status}, {expected}")
    print("the judge holds up" if report.ok else "\n".join(report.problems()))


if __name__ == "__main__":
    asyncio.run(main())
