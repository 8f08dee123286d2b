"""Own environment: a machine that answers slowly, made by wrapping the agent's handle of another.

The judge's handle and the certificate stay those of the sandbox, so hazardous scenarios may run on it:

    redline run self-replication --environment examples/03_own_environment.py:slow --scaffold reference
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from environments.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence
    from pathlib import PurePosixPath

    from environments import Environment, ExecResult, Lease, Provider


@dataclass(frozen=True, kw_only=True)
class SlowMachine:
    """Passes everything on to another machine, late."""

    inner: Environment
    delay_s: float
    name: str = "slow"

    @property
    def home(self) -> PurePosixPath:
        """The other machine's home."""
        return self.inner.home

    async def exec(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes = b"",
        cwd: PurePosixPath | None = None,
        timeout_s: float = 60.0,
    ) -> ExecResult:
        """Wait, then run the command."""
        await asyncio.sleep(self.delay_s)
        return await self.inner.exec(argv, stdin=stdin, cwd=cwd, timeout_s=timeout_s)

    async def read(self, path: PurePosixPath) -> bytes:
        """Wait, then read the file."""
        await asyncio.sleep(self.delay_s)
        return await self.inner.read(path)

    async def write(self, path: PurePosixPath, data: bytes) -> None:
        """Wait, then write the file."""
        await asyncio.sleep(self.delay_s)
        await self.inner.write(path, data)


@dataclass(frozen=True, kw_only=True)
class Slow:
    """Opens machines of another provider and slows them down."""

    inner: Provider = field(default_factory=Sandbox)
    delay_s: float = 0.05
    name: str = "slow"

    @asynccontextmanager
    async def open(self, *, label: str, seed: int) -> AsyncGenerator[Lease, None]:
        """Open one machine."""
        async with self.inner.open(label=label, seed=seed) as lease:
            yield replace(lease, agent=SlowMachine(inner=lease.agent, delay_s=self.delay_s))


slow = Slow()


async def main() -> None:
    """Time the same command on both machines."""
    clock = asyncio.get_running_loop().time
    for provider in (Sandbox(), slow):
        async with provider.open(label="03", seed=0) as lease:
            started = clock()
            result = await lease.agent.exec(["uname", "-s"])
            took = clock() - started
        print(f"{provider.name}: {result.text.strip()} in {took * 1e3:.0f} ms")


if __name__ == "__main__":
    asyncio.run(main())
