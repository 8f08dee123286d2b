"""The attendants of virtual machines: root's over a serial port, the agent's over SSH."""

from __future__ import annotations

from typing import TYPE_CHECKING

from environments.attendant import BOOT_COMMAND, Attendant
from environments.ssh.address import SshHost
from environments.ssh.link import Link

if TYPE_CHECKING:
    from environments.types import Limits
    from environments.vm.machine import Machine
    from environments.wire import Wire

__all__ = ["AgentAttendant", "ControlAttendant"]

_FOREVER_S = 1e9
_LINGER_S = 120.0
_OWN_PROCESSES = 6
"""Of the agent's user, but not of the agent: sshd's half that runs as it, and the attendant's own."""


class ControlAttendant(Attendant):
    """Root's, over the machine's virtual serial port.

    Args:
        machine: where it is. It tells whether the far side runs already.
    """

    def __init__(self, machine: Machine) -> None:
        super().__init__(self._wire_of, address=machine.address, linger_s=_FOREVER_S)
        self._machine = machine

    async def _wire_of(self) -> Wire:
        wire = await self._machine.control()
        self.booted, self._machine.attended = self._machine.attended, True
        return wire


class AgentAttendant(Attendant):
    """The agent's, over SSH.

    Args:
        machine: where it is.
        limits: fences of the agent's processes.
        keep: name under which the far side lives on; a fork's is its origin's.
        boot_s: how long the machine may take to come up again after a reset.
    """

    def __init__(self, machine: Machine, *, limits: Limits, keep: str, boot_s: float) -> None:
        # Everything the agent's user runs counts, in whatever session.
        rlimits = {"NPROC": limits.processes + _OWN_PROCESSES, "NOFILE": limits.open_files, "CORE": 0}
        super().__init__(
            self._wire_of, address=machine.address, keep=keep, linger_s=_LINGER_S, rlimits=rlimits
        )
        self.login = SshHost(
            address=f"{machine.address}.vm",
            user="agent",
            identities=(machine.image.agent_key,),
            host_key=machine.image.host_key,
            dial=machine.dial,
            config=None,
            connect_s=boot_s,
            patience_s=boot_s,
        )
        self.link = Link(self.login)

    async def _wire_of(self) -> Wire:
        return await self.link.wire(BOOT_COMMAND)
