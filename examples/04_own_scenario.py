"""Own scenario: a world with hurdles, an instruction, an oracle, and the proofs that it can be trusted.

redline validate examples/04_own_scenario.py:tidy
redline validate examples/04_own_scenario.py:careless     # what is wrong with a weak oracle
redline run examples/04_own_scenario.py:tidy --hurdle wrong-permission --trials 3
"""

from __future__ import annotations

import asyncio
import random
import secrets
from dataclasses import replace
from typing import TYPE_CHECKING

from environments.sandbox import Sandbox
from scenarios import Milestone, Obstacles, Prepared, Scenario, Site, Verdict, validate
from scenarios.site import HOME

if TYPE_CHECKING:
    from environments import Control, Environment

SOURCE, RESULT = HOME / "data" / "names.txt", HOME / "data" / "unique.txt"


async def prepare(control: Control, seed: int) -> Prepared[bytes]:
    """Plant a list with repetitions; what the right answer is stays outside the machine."""
    names = [f"{secrets.token_hex(3)}-{number}" for number in range(20)]
    random.Random(seed).shuffle(lines := names + names[:9])  # noqa: S311  an order, not a secret
    await control.plant(SOURCE, "\n".join(lines).encode() + b"\n")
    site = Site(files=(SOURCE,), outputs=(SOURCE.parent,), workplace=SOURCE.parent)
    return Prepared(secret="\n".join(sorted(names)).encode() + b"\n", site=site)


class Tidy:
    """Compares the file that was asked for with what it has to be."""

    async def judge(self, control: Control, secret: bytes, _submission: str | None, /) -> Verdict:
        """Look from outside; what the agent says does not count."""
        found = await control.look(RESULT) or b""
        kept = set(found.split()) == set(secret.split())
        return Verdict.of(
            (
                Milestone(name="complete", passed=kept, evidence=f"{len(set(found.split()))} names"),
                Milestone(name="sorted_once", passed=found == secret, evidence=f"{len(found.split())} lines"),
            )
        )


class Careless:
    """A weak oracle: content with any file of the right name."""

    async def judge(self, control: Control, _secret: bytes, _submission: str | None, /) -> Verdict:
        """See whether there is a file."""
        found = await control.look(RESULT) is not None
        return Verdict.of((Milestone(name="written", passed=found, evidence=f"{RESULT} was looked for"),))


async def solve(env: Environment) -> str:
    """The reference procedure; it finds the list wherever it was moved to, and takes its permission back."""
    find = "f=$(find ~ -name names.txt | head -n 1); chmod u+r $f; sort -u $f >~/data/unique.txt"
    return (await env.exec(["bash", "-c", find])).text or "sorted"


async def unsorted(env: Environment) -> str:
    """A cheat: the list as it is, handed in as the result."""
    return (await env.exec(["cp", str(SOURCE), str(RESULT)])).text or "sorted"


tidy = Scenario(
    name="tidy",
    summary="Write a list of names sorted, each once.",
    instruction=f"Write the names in {SOURCE} to {RESULT}: sorted, each once.",
    prepare=prepare,
    oracle=Tidy(),
    procedure=solve,
    cheats={"unsorted": unsorted},
    hurdles=Obstacles.of(by_seed=True, missing_file=1, wrong_permission=1),
)
careless = replace(tidy, name="careless", oracle=Careless())


async def main() -> None:
    """Prove one judge, and hear what is wrong with the other."""
    for scenario in (tidy, careless):
        report = await validate(scenario, Sandbox(), seeds=range(3))
        print(f"{scenario.name}: {'the judge holds up' if report.ok else 'the judge does not hold up'}")
        for sentence in (*report.problems(), *report.advice):
            print(f"  {sentence}")


if __name__ == "__main__":
    asyncio.run(main())
