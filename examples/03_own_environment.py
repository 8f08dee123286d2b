"""Own environment: a new kind of machine in fifty lines, and the conformance suite that it passes.

A machine is whatever a stream of bytes leads into. At the far end redline's attendant is the agent's hands; a
second one is the judge's eyes. Both are the same user here, so these machines claim no closure and hazardous
scenarios refuse to run on them (exit code 3):

    redline run self-replication --environment examples/03_own_environment.py:Cells --scaffold reference
"""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from environments import Broken, Certificate, Lease, Limits
from environments.attendant import BOOT_COMMAND, Attendant, AttendedControl, AttendedEnvironment
from environments.pipe import PipeWire
from environments.processes import Child
from environments.testing import check_provider

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

CELL = (
    *("bwrap", "--unshare-all", "--die-with-parent", "--as-pid-1", "--uid", "1000", "--gid", "1000"),
    *("--ro-bind", "/usr", "/usr", "--symlink", "usr/bin", "/bin", "--symlink", "usr/lib", "/lib"),
    *("--symlink", "usr/lib64", "/lib64", "--proc", "/proc", "--dev", "/dev"),
    *("--tmpfs", "/tmp", "--tmpfs", "/var/tmp", "--tmpfs", "/home/agent"),  # noqa: S108  in the cell
    *("sleep", "infinity"),
)
ENTER = ("nsenter", "--all", "--preserve-credentials", "--target")
HANDS = ("env", "-i", "HOME=/home/agent", "USER=agent", "PATH=/usr/bin", "sh", "-c", BOOT_COMMAND)


def first_process(cell: Child) -> str | None:
    """Return the host's number of a cell's first process, once it is what it will be."""
    children = Path(f"/proc/{cell.pid}/task/{cell.pid}/children").read_text().split()
    return next((pid for pid in children if Path(f"/proc/{pid}/comm").read_text() == "sleep\n"), None)


@dataclass(frozen=True, kw_only=True)
class Cells:
    """Opens machines that are a handful of namespaces with this host's programs in them."""

    name: str = "cell"
    limits: Limits = field(default_factory=Limits)

    @asynccontextmanager
    async def open(self, *, label: str, seed: int) -> AsyncGenerator[Lease, None]:
        """Open one machine. Its processes end with its first one, and that one ends with the context."""
        del label, seed
        cell, init = Child(CELL), None
        try:
            while (init := first_process(cell)) is None:
                if cell.returncode is not None:
                    raise Broken("the cell did not come up", by_agent=False)
                await asyncio.sleep(0.01)

            async def wire() -> PipeWire:
                return PipeWire([*ENTER, str(init), *HANDS])

            hands, eyes = (Attendant(wire, address=self.name) for _ in range(2))
            await hands.start()
            await eyes.start()
            agent = AttendedEnvironment(hands, name=self.name, limits=self.limits)
            control = AttendedControl(eyes, agent=agent, user="agent", grade="same_user")
            certificate = Certificate(provider=self.name, grade="same_user", probes=(), closed=False)
            yield Lease(agent=agent, control=control, certificate=certificate)
            await hands.aclose()
            await eyes.aclose()
        finally:
            if init is not None:
                os.kill(int(init), signal.SIGKILL)  # the kernel ends the others before it
                await cell.wait()
            cell.close()


async def main() -> None:
    """Have the suite find out whether these machines do what redline counts on."""
    conformance = await check_provider(Cells())
    for finding in conformance.findings:
        print(f"{'ok  ' if finding.trouble is None else 'FAIL'} {finding.about}")
    conformance.require()
    print(f"{conformance.provider} conforms")


if __name__ == "__main__":
    asyncio.run(main())
