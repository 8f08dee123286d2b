"""Attendants of machines that can go back in time, and that are there more than once."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING

from environments.attendant import BOOT_COMMAND, Attendant
from environments.attendant.attendant import Replaced
from environments.errors import Closed
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


class _Attendant(Attendant):
    """An attendant whose far side may be a copy of another one's."""

    def _begin_at_random(self) -> None:
        """Number questions so that a far side that has served another runner takes none for an old one."""
        self._count = secrets.randbits(48)

    def lose(self) -> None:
        """End the questions that are open: the machine that was asked is gone."""
        self._settle(list(self._questions.values()), Replaced())

    async def let_go(self) -> None:
        """Leave the far side as it is."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait({self._reading})
        self._fail(Closed("the machine was closed"))
        if self._wire is not None:
            self._wire.close()


class ControlAttendant(_Attendant):
    """Root's, over the machine's virtual serial port.

    Args:
        machine: where it is. It tells whether the far side runs already.
    """

    def __init__(self, machine: Machine) -> None:
        super().__init__(self._wire_of, address=machine.address, linger_s=_FOREVER_S)
        self._begin_at_random()
        self._machine = machine

    async def _wire_of(self) -> Wire:
        wire = await self._machine.control()
        self.booted, self._machine.attended = self._machine.attended, True
        return wire


class AgentAttendant(_Attendant):
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
        self._begin_at_random()
        self.link = Link(
            SshHost(
                address=f"{machine.address}.vm",
                user="agent",
                identities=(machine.image.agent_key,),
                host_key=machine.image.host_key,
                dial=machine.dial,
                config=None,
                connect_s=boot_s,
                patience_s=boot_s,
            )
        )

    async def _wire_of(self) -> Wire:
        return await self.link.wire(BOOT_COMMAND)
