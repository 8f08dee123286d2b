"""The judge's handle on a virtual machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from environments.attendant import AttendedControl

if TYPE_CHECKING:
    from environments.types import Process

__all__ = ["MachineControl"]


class MachineControl(AttendedControl):
    """Root's attendant, behind a port that the agent cannot open."""

    async def processes(self) -> list[Process]:
        """List the machine's processes but root's, and sshd's halves that serve the agent's login."""
        everything = await super().processes()
        found = await self.tell(["pgrep", "--uid", "0"])
        roots = {int(pid) for pid in found.stdout.split()}
        return [
            process for process in everything if process.pid not in roots and not _of_sshd(process, roots)
        ]


def _of_sshd(process: Process, roots: set[int]) -> bool:
    """Tell sshd's half that runs as the agent. Who gives himself its name has another parent."""
    named = bool(process.argv) and process.argv[0].startswith("sshd: agent")
    return named and process.parent in roots and process.parent != 1
