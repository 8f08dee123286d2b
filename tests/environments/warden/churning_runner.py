"""A runner for tests: opens and closes machines without end, several at a time, and leaves services on them.

    python churning_runner.py TOKEN

Everything it runs inside has TOKEN among its arguments.
"""

from __future__ import annotations

import asyncio
import random
import sys

from environments import EnvironmentFault, Limits
from environments.sandbox import Sandbox

STUBBORN = """
trap '' TERM HUP INT QUIT USR1 USR2 ALRM PIPE
(trap '' TERM HUP INT; setsid bash -c 'sleep 600; :' "$0" &)
while :; do sleep 0.1; done
"""


async def churn(token: str, random_: random.Random) -> None:
    while True:
        async with Sandbox(limits=Limits(memory_bytes=128 << 20)).open(label="churn", seed=0) as lease:
            start = f'setsid bash -c "$1" "{token}" </dev/null >/dev/null 2>&1 &'
            for _ in range(2):
                await lease.agent.exec(["bash", "-c", start, token, STUBBORN])
            print("running", flush=True)  # noqa: T201  whoever started this waits for it
            await asyncio.sleep(random_.uniform(0.0, 0.6))


async def main(token: str) -> None:
    random_ = random.Random(token)  # noqa: S311
    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(3):
                group.create_task(churn(token, random_))
    except* EnvironmentFault:
        sys.exit(1)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
