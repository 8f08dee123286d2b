"""A host that is reached over SSH, with the user's own login, as the place of the study's own programs."""

from __future__ import annotations

from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from environments.attendant import BOOT_COMMAND
from environments.errors import Unavailable
from environments.hosting.host import KeepingHost
from environments.hosting.ports import led
from environments.ssh.address import machine_at
from environments.ssh.link import Link

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable
    from contextlib import AbstractAsyncContextManager

    from environments.hosting.protocols import Host
    from environments.ssh.address import SshHost
    from environments.wire import Wire

__all__ = ["PATIENCE_S", "SshHosting", "ssh_host", "ssh_host_at"]

PATIENCE_S = 60.0
"""How long a program goes on that nobody is heard from, as when a network was cut without a word."""


class SshHosting(KeepingHost):
    """Programs run as the user who logs in, in his home folder, with the environment of his logins.

    Args:
        link: to a login whose ports may be dialled.
        name: of the host, in place of its address.
        patience_s: see `PATIENCE_S`.
        cause: finds out why the link is lost, given what it said.
    """

    def __init__(
        self,
        link: Link,
        *,
        name: str = "",
        patience_s: float = PATIENCE_S,
        cause: Callable[[str], Awaitable[str]] | None = None,
    ) -> None:
        self._link = link
        self._name = name or link.place
        self.patience_s = patience_s
        self._asked = cause

    @property
    def name(self) -> str:
        """Address and port, or what it was named."""
        return self._name

    @asynccontextmanager
    async def reach(self, port: int) -> AsyncGenerator[int, None]:
        """Lead a port of ours there; see `Host.reach`.

        Raises:
            Unavailable: the host leads nobody to its ports.
        """
        with suppress(OSError):  # nothing need listen there yet
            try:
                (await self._link.dial(port)).close()
            except PermissionError as fault:
                raise Unavailable(
                    f"{self.name}: its sshd leads nobody to its ports",
                    mend="set `AllowTcpForwarding local` for this login on the host",
                ) from fault
        async with led(lambda: self._link.dial(port)) as here:
            yield here

    async def _wire(self) -> Wire:
        return await self._link.wire(BOOT_COMMAND)

    async def _cause(self, said: str) -> str:
        return said if self._asked is None else await self._asked(said)


def ssh_host_at(address: str) -> AbstractAsyncContextManager[Host]:
    """Open the host at an address such as `ssh://user@host:port`; see `ssh_host`.

    Raises:
        Unavailable: it is not such an address.
    """
    machine = machine_at(address)
    if machine.control is not None:
        raise Unavailable(
            f"{address} names a second login", mend="leave control_user and control_identity out: no agent"
        )
    return ssh_host(machine.agent)


@asynccontextmanager
async def ssh_host(login: SshHost, *, patience_s: float = PATIENCE_S) -> AsyncGenerator[Host, None]:
    """Log in to a host of the study's own, and out at the end.

    Args:
        login: which host, as whom, and how it proves to be itself.
        patience_s: see `PATIENCE_S`.

    Raises:
        Unavailable: the host does not let us in; the message says why.
    """
    link = Link(replace(login, our_own=True))
    await link.open()
    try:
        yield SshHosting(link, patience_s=patience_s)
    finally:
        await link.aclose()
