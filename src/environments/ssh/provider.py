"""Leases SSH hosts, each to one trial at a time."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from environments.errors import Unavailable
from environments.ssh.address import machine_at, machines_in
from environments.ssh.machine import Stay
from environments.types import Limits, Supply

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from environments.ssh.address import SshMachine
    from environments.types import Lease

__all__ = ["DEDICATED", "SshHosts"]

DEDICATED = Limits(disk_bytes=64 << 30)
"""Of hosts that are there for nothing else: their own disk is the fence, unless it is larger than this."""


@dataclass(frozen=True, kw_only=True)
class SshHosts:
    """Provider of hosts that exist already and are reached over SSH.

    A trial has a host to itself: one user of it, whose processes are ended and whose files are put back
    afterwards. A host for which that cannot be shown is not used again; the others go on.
    """

    machines: tuple[SshMachine, ...]
    limits: Limits = DEDICATED
    name: str = "ssh"
    _hosts: _Hosts = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        names = [machine.name for machine in self.machines]
        if len(set(names)) < len(names) or not names:
            raise ValueError(f"hosts need names of their own, not {names}")
        object.__setattr__(self, "_hosts", _Hosts(deque(self.machines)))

    @classmethod
    def at(cls, url: str, *, limits: Limits | None = None) -> Self:
        """Return the provider of one host, at an address such as `ssh://user@host:port`.

        Raises:
            Unavailable: it is not such an address.
        """
        return cls(machines=(machine_at(url),), limits=limits or DEDICATED)

    @classmethod
    def listed_in(cls, path: Path, *, limits: Limits | None = None) -> Self:
        """Return the provider of the hosts of a hosts file.

        Raises:
            Unavailable: it is missing or wrong.
        """
        return cls(machines=machines_in(path), limits=limits or DEDICATED)

    @property
    def supply(self) -> Supply:
        """As many machines as there are hosts."""
        return Supply(most=len(self.machines))

    @asynccontextmanager
    async def open(self, *, label: str, seed: int) -> AsyncGenerator[Lease, None]:
        """Lease a host; where all are taken, wait for one.

        Raises:
            Unavailable: none of them can be had; the message says why of each.
            Broken: at the end, where the host could not be put back as it was.
        """
        del seed  # a host is what it is
        refusals: dict[str, str] = {}
        while True:
            machine = await self._hosts.take(refusals)
            stay = Stay(machine, label=label, limits=self.limits, name=self.name)
            async with _returning(self._hosts, machine, stay):
                try:
                    lease = await stay.begin()
                except Unavailable as fault:
                    refusals[machine.name] = str(fault)
                    continue
                yield lease
                return


@asynccontextmanager
async def _returning(hosts: _Hosts, machine: SshMachine, stay: Stay) -> AsyncGenerator[None, None]:
    """Give a host back at the end, or put it away."""
    try:
        try:
            yield
        finally:
            await stay.end()
    finally:
        hosts.put_back(machine, dirty=stay.dirty)


@dataclass(eq=False)
class _Hosts:
    """Which hosts are free, and which will never be again."""

    free: deque[SshMachine]
    taken: set[str] = field(default_factory=set)
    dirty: dict[str, str] = field(default_factory=dict)
    _waiting: list[asyncio.Future[None]] = field(default_factory=list)

    async def take(self, refusals: dict[str, str]) -> SshMachine:
        """Wait for a host that is not among those that were tried in vain.

        Raises:
            Unavailable: there will be none.
        """
        while True:
            for machine in self.free:
                if machine.name not in refusals:
                    self.free.remove(machine)
                    self.taken.add(machine.name)
                    return machine
            if self.taken <= refusals.keys():
                raise self._none(refusals)
            turn = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            try:
                await turn
            finally:
                self._waiting.remove(turn)

    def put_back(self, machine: SshMachine, *, dirty: str | None) -> None:
        """Let others have it, unless it is dirty."""
        self.taken.discard(machine.name)
        if dirty is None:
            self.free.append(machine)
        else:
            self.dirty[machine.name] = dirty
        for turn in self._waiting:
            if not turn.done():
                turn.set_result(None)

    def _none(self, refusals: dict[str, str]) -> Unavailable:
        reasons = [*refusals.values(), *(f"not used again: {why}" for why in self.dirty.values())]
        if len(reasons) == 1:
            return Unavailable(reasons[0])
        return Unavailable(f"none of {len(reasons)} SSH hosts can be had: {'; '.join(reasons)}")
