"""The certificate of a lab's host: what is declared about its closure, held against what is found.

From outside, in the kernel's view of the host's processes and of the fabric, and by calling from the host's
network whatever could be a way out of it. From inside, by knocking as the agent at the runner's addresses and
at the bridge's own, where redline listens and no host is to get through.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from environments.attendant.witness import ThroughAttendant
from environments.containment.canaries import Canaries, addresses_of_host, canaries_on
from environments.containment.examination import Examination
from environments.containment.fencing import fenced, fences_of
from environments.containment.inside import Declared
from environments.containment.kernel import (
    held,
    interfaces,
    listed,
    new_privileges,
    routes,
    status_of,
    still_there,
)
from environments.containment.namespaces import apart
from environments.errors import Broken
from environments.lab.fabric import ADDRESS
from environments.lab.host import NETWORK, OWN_PROCESSES
from environments.types import Certificate, Probe

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from environments.attendant import Attendant
    from environments.lab.lab import LabHost
    from environments.protocols import Closure
    from environments.sandbox.procfs import MachineProc
    from environments.sandbox.rooted import RootedFiles
    from environments.sandbox.sockets import Dialer
    from environments.types import Grade, Phase

__all__ = ["AllHosts", "HostOutside", "certify", "named"]

_CAPABILITIES = ("CapInh", "CapPrm", "CapEff", "CapAmb")
_CALL_S = 0.5
_OF_THE_HOST = frozenset({("/usr", "overlay")})
_INSIDE = Declared(interfaces="eth0, lo", routes=NETWORK, kinds=Declared().kinds | {"overlay"})
_DECLARED = (
    ("may reach", f"the hosts of its own lab, on {NETWORK}, and nothing else"),
    ("other machines", "the lab's other hosts; no other lab and no other machine shares its bridge"),
    (
        "sees of the host",
        "the files of /usr and the loader's cache; which kernel it runs, processors and load",
    ),
    ("shares with the host", "the kernel"),
    ("who may see it", "the host's root and the user that runs redline: files, processes, memory, packets"),
)


@dataclass(frozen=True, kw_only=True)
class HostOutside:
    """What the real host's kernel says of one host.

    Args:
        host: the host.
        fabric: process 1 of what joins the lab's hosts, as the real host numbers it.
        attendant: the agent's; its commands descend from it.
        proc: the host's processes.
        files: the host's files.
        dialer: makes connections in the host's network.
        bridge: makes sockets in the fabric's network.
    """

    host: LabHost
    fabric: int
    attendant: Attendant
    proc: MachineProc
    files: RootedFiles
    dialer: Dialer
    bridge: Dialer

    async def __call__(self) -> tuple[Probe, ...]:
        """Look once.

        Raises:
            OSError: the host is gone.
        """
        init, host = self.host.init, self.host
        found = (
            *_apart(init, self.files),
            Probe(name="the lab's interfaces", declared="its own alone", found=_of_fabric(self.fabric)),
            Probe(name="the lab's routes", declared=NETWORK, found=listed(routes(self.fabric))),
            Probe(name="calls to the outside", declared="refused", found=await _calls(self.dialer)),
            *self._of_agent(),
            *fenced(init, host.fence, host.limits, own_processes=OWN_PROCESSES),
        )
        still_there(init)
        return found

    def _of_agent(self) -> tuple[Probe, ...]:
        """Probe what the agent's commands descend from; nothing while it was killed and another is due."""
        try:
            agent = self.proc.host_pid(self.attendant.hello.pid)
            status, inside = status_of(agent), self.host.fence.holds(agent)
        except OSError:
            return ()
        real = set(status["Uid"].split())
        user = "its own" if real == {str(self.host.agent_id[0])} else f"the host's {', '.join(sorted(real))}"
        return (
            Probe(name="the agent's user", declared="its own", found=user),
            Probe(name="capabilities", declared="none", found=held(status, _CAPABILITIES)),
            Probe(name="new privileges", declared="refused", found=new_privileges(status)),
            Probe(name="the agent inside its fences", declared="yes", found="yes" if inside else "no"),
        )

    @asynccontextmanager
    async def beside(self, canaries: Canaries) -> AsyncGenerator[None, None]:
        """Listen on the bridge's own address, which no host is to get through to."""
        server = await canaries.listen(
            await self.bridge.listen(address=ADDRESS), f"TCP {ADDRESS}, the bridge"
        )
        try:
            yield
        finally:
            server.close()


async def certify(outside: HostOutside, *, grade: Grade) -> tuple[Certificate, Examination]:
    """Examine a host that is open and empty; return its certificate, and what examines it again.

    Args:
        outside: the kernel's view.
        grade: of the control handle.
    """
    host = outside.host
    closure = Examination(
        outside=outside,
        inside=ThroughAttendant(outside.attendant),
        declared=_INSIDE,
        beside=outside.beside,
    )
    certificate = Certificate(
        provider="lab",
        grade=grade,
        probes=await closure.examine("before"),
        fences=fences_of(host.fence, host.limits, disk="tmpfs size", output="a cap on what is kept"),
        declared=_DECLARED,
    )
    return certificate, closure


@dataclass(frozen=True, kw_only=True)
class AllHosts:
    """A lab is as closed as each of its hosts."""

    hosts: Mapping[str, Closure]
    """By name, the agent's own first."""

    async def examine(self, phase: Phase) -> tuple[Probe, ...]:
        """Examine every host; what is found on the others carries their names."""
        found = await asyncio.gather(*(closure.examine(phase) for closure in self.hosts.values()))
        return tuple(
            replace(probe, name=named(name, probe.name, first=not place))
            for place, (name, probes) in enumerate(zip(self.hosts, found, strict=True))
            for probe in probes
        )


def named(host: str, probe: str, *, first: bool) -> str:
    """Return what a probe of one of several hosts is called."""
    return probe if first else f"{host}: {probe}"


def _apart(init: int, files: RootedFiles) -> tuple[Probe, ...]:
    root = os.open(f"/proc/{init}/root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return apart(init, root=root, files=files, own=_OF_THE_HOST, network=("eth0, lo", NETWORK))
    finally:
        os.close(root)


def _of_fabric(fabric: int) -> str:
    strange = [name for name in interfaces(fabric) if name not in {"lab0", "lo"} and name[:4] != "port"]
    return ", ".join(strange) or "its own alone"


async def _calls(dialer: Dialer) -> str:
    """Listen on the addresses of the real host, and see that none can be called from the lab's network."""
    async with canaries_on(addresses_of_host()) as canaries:
        calls = (
            _call(dialer, address, port, word)
            for kind, address, port, word in canaries.doors()
            if kind == "TCP"
        )
        await asyncio.gather(*calls)
        return f"heard by {', '.join(sorted(canaries.heard))}" if canaries.heard else "refused"


async def _call(dialer: Dialer, address: str, port: int, word: str) -> None:
    if ":" in address:  # labs have no IPv6
        return
    with suppress(OSError, Broken), await dialer.connect(address, port, timeout_s=_CALL_S) as connection:
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(connection, word.encode())
        async with asyncio.timeout(_CALL_S):
            await loop.sock_recv(connection, 64)
