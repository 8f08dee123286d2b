"""A lab: several hosts on one private bridge, each with its own addresses, users and SSH server.

Nothing leads out of it, and in it nothing leads anywhere but to its own hosts. Redline gets in by
connections that are made inside and handed out. All of it hangs on one process, and that on ours: when we are
killed, nothing of the lab is left but for a moment.
"""

from __future__ import annotations

import asyncio
import os
import re
import secrets
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from environments.endings import to_the_end
from environments.errors import Broken, Leaked
from environments.lab.archive import AGENT_ID, archive_of
from environments.lab.fabric import Fabric
from environments.lab.host import Host, HostPlace
from environments.lab.ids import ids_for
from environments.lab.obstacles import explain, missing
from environments.ssh.address import SshHost
from environments.types import Limits
from environments.warden import hold

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncGenerator, Coroutine, Iterable, Mapping

    from environments.sandbox.fences import Fence
    from environments.sandbox.sockets import Dialer
    from environments.warden import Held

__all__ = ["Lab", "LabHost", "RunningLab", "together"]

_MOST_HOSTS = 250
_OPENING_S = 20.0
_OPENING_EACH_S = 0.5
_NAME = re.compile(r"[a-z]([a-z0-9-]{0,30}[a-z0-9])?")
_KEYS = ("root", "agent", "hop")
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class LabHost:
    """One host of a lab that is up."""

    name: str
    address: str
    init: int
    """Its process 1, as the real host numbers it."""
    ssh: SshHost
    """The agent's login."""
    root: SshHost
    """Root's login. What root can do there is look after the host's users and files, no more."""
    root_id: tuple[int, int]
    """The real host's uid and gid that its root is."""
    agent_id: tuple[int, int]
    """The real host's uid and gid that its user `agent` is."""
    fence: Fence
    limits: Limits


@dataclass(frozen=True, kw_only=True)
class Lab:
    """What a lab is to be. Works as root, and as an ordinary user with ids set aside in /etc/subuid."""

    hosts: int | tuple[str, ...] = 3
    """How many, called node1, node2, ...; or their names."""
    limits: Limits = field(default_factory=Limits)
    """Fences of each host."""

    @property
    def places(self) -> tuple[HostPlace, ...]:
        """Name and address of each host.

        Raises:
            ValueError: too many hosts, none, or a name that cannot be one.
        """
        names = self.hosts
        if isinstance(names, int):
            names = tuple(f"node{number}" for number in range(1, names + 1))
        if not 1 <= len(names) <= _MOST_HOSTS:
            raise ValueError(f"a lab has 1 to {_MOST_HOSTS} hosts, not {len(names)}")
        for name in names:
            if not _NAME.fullmatch(name) or name == "localhost" or names.count(name) > 1:
                raise ValueError(f"{name!r} cannot be the name of a host, or not of two")
        return tuple(
            HostPlace(number=number, name=name, address=f"10.77.0.{number + 1}")
            for number, name in enumerate(names)
        )

    @asynccontextmanager
    async def up(self) -> AsyncGenerator[RunningLab, None]:
        """Bring the lab up; leaving the context ends every process in it and proves that nothing is left.

        Raises:
            Unavailable: this host does not let us; the message says what to do about it.
            Leaked: something of the lab outlived it.
        """
        places = self.places
        if (fault := missing()) is not None:
            raise fault
        async with AsyncExitStack() as stack:
            lab = RunningLab(places, limits=self.limits)
            stack.push_async_callback(lab.tear_down)
            try:
                async with asyncio.timeout(_OPENING_S + _OPENING_EACH_S * len(places)):
                    await lab.open()
            except (OSError, TimeoutError, Broken) as error:
                raise explain(str(error) or lab.complaint()) from error
            yield lab


class RunningLab:
    """A lab from its first process to its last.

    Args:
        places: where its hosts are to be.
        limits: fences of each host.
    """

    def __init__(self, places: tuple[HostPlace, ...], *, limits: Limits) -> None:
        self._limits = limits
        self._ids = ids_for(len(places))
        self._fabric = Fabric(self._ids, keys=_KEYS)
        self._token = f"lab-{secrets.token_hex(6)}"
        self._parts = {
            place.name: Host(place, ids=self._ids, limits=limits, token=self._token) for place in places
        }
        self._held: Held | None = None
        self._hosts: dict[str, LabHost] = {}

    @property
    def hosts(self) -> Mapping[str, LabHost]:
        """The hosts by name, in the order of their addresses."""
        return self._hosts

    @property
    def held(self) -> Held:
        """The lab as the warden holds it, once it is being opened."""
        assert self._held is not None
        return self._held

    @property
    def fabric(self) -> int:
        """Process 1 of what joins the hosts, as the real host numbers it."""
        return self._fabric.init

    @property
    def bridge(self) -> Dialer:
        """Makes sockets in the network that joins the hosts."""
        return self._fabric.dialer

    async def open(self) -> None:
        """Bring everything up.

        Raises:
            OSError, Broken, Unavailable: it did not come up.
        """
        hosts = list(self._parts.values())
        held = self._held = hold(self._token, lifetime_s=self._limits.lifetime_s)
        held.group(*(group for host in hosts for group in host.groups))
        await self._fabric.open(held)
        tree = await asyncio.to_thread(archive_of, self._files())
        with os.fdopen(os.memfd_create("tree", os.MFD_CLOEXEC), "wb") as archive:
            archive.write(tree)
            archive.flush()
            entering = (host.enter(self._fabric.init, archive.fileno(), held) for host in hosts)
            waiting = await together(entering)
            await self._fabric.wire(
                (host.place.port, pid, self._ids.share(host.place.number))
                for host, pid in zip(hosts, waiting, strict=True)
            )
            await together(host.start() for host in hosts)
        known = "".join(f"{h.place.name},{h.place.address} {h.host_key}\n" for h in hosts)
        await together(host.know(known) for host in hosts)
        for host in hosts:
            held.process(host.init, namespaces=True)
            self._hosts[host.place.name] = self._up(host)

    def _files(self) -> dict[str, tuple[str, int, int]]:
        """Return what the hosts of this lab have and those of another do not: path -> text, mode, owner."""
        names = "".join(f"{host.place.address} {host.place.name}\n" for host in self._parts.values())
        keys = {name: self._fabric.public_key(name) + "\n" for name in _KEYS}
        return {
            "etc/hosts": (f"127.0.0.1 localhost\n{names}", 0o644, 0),
            "etc/ssh/keys/root": (keys["root"], 0o644, 0),
            "etc/ssh/keys/agent": (keys["agent"] + keys["hop"], 0o644, 0),
            "home/agent/.ssh/id_ed25519": (self._fabric.key("hop").read_text(), 0o600, AGENT_ID),
            "home/agent/.ssh/id_ed25519.pub": (keys["hop"], 0o644, AGENT_ID),
        }

    def _up(self, host: Host) -> LabHost:
        place = host.place
        login = partial(
            SshHost,
            address=place.name,
            port=22,
            host_key=host.host_key,
            dial=partial(self._dial, place.address, 22),
            config=None,
        )
        return LabHost(
            name=place.name,
            address=place.address,
            init=host.init,
            ssh=login(user="agent", identities=(self._fabric.key("agent"),)),
            root=login(user="root", identities=(self._fabric.key("root"),)),
            root_id=self._ids.on_host(place.number, 0),
            agent_id=self._ids.on_host(place.number, AGENT_ID),
            fence=host.fence,
            limits=self._limits,
        )

    async def connect(self, name: str, port: int) -> socket.socket:
        """Return a TCP socket connected to a host over the bridge; closing it is the caller's.

        Raises:
            OSError: nothing accepts the connection there, or not in time.
        """
        return await self._dial(self._hosts[name].address, port)

    async def _dial(self, address: str, port: int) -> socket.socket:
        try:
            return await self._fabric.connect(address, port)
        except Broken as error:
            raise ConnectionError(f"the lab of {address} is gone: {error}") from error

    async def cut(self, name: str) -> None:
        """Drop every packet from and to a host on the bridge; nobody is told."""
        await self._fabric.cut(self._parts[name].place.port)

    async def mend(self, name: str) -> None:
        """Let a host's packets pass again."""
        await self._fabric.mend(self._parts[name].place.port)

    async def kill_sshd(self, name: str) -> None:
        """Kill a host's SSH server with its sessions; what ran in them lives on."""
        await self._parts[name].order("silence")

    async def start_sshd(self, name: str) -> None:
        """Start a host's SSH server after it was killed."""
        await self._parts[name].order("serve")

    def complaint(self) -> str:
        """Return what a part of the lab printed before it failed."""
        complaints = (host.complaint() for host in self._parts.values())
        return next((text for text in complaints if text), "")

    async def tear_down(self) -> None:
        """End everything and prove it, however often this is cancelled meanwhile.

        Raises:
            Leaked: a process, a mount, a connection or a control group is still there.
        """
        await to_the_end(self._end())

    async def _end(self) -> None:
        connections = await self._fabric.end()
        left = [f"{connections} open connections into it"] if connections else []
        for host in self._parts.values():
            host.end()
            await host.fence.lower()
        if self._held is not None:
            await self._held.release()
        if left:
            raise Leaked(self._token, left)


async def together(work: Iterable[Coroutine[None, None, T]]) -> list[T]:
    """Do all at once; the first fault ends the others and is raised by itself."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(each) for each in work]
    except BaseExceptionGroup as faults:
        raise faults.exceptions[0] from None
    return [task.result() for task in tasks]
