"""Hands out hosts of a lab as machines."""

from __future__ import annotations

import os
import secrets
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from environments.attendant import BOOT_COMMAND, Attendant, AttendedControl, AttendedEnvironment
from environments.lab.closure import AllHosts, HostOutside, certify, named
from environments.lab.control import LabControl, entering
from environments.lab.lab import Lab, together
from environments.pipe import PipeWire
from environments.sandbox.gate import NamespaceGate
from environments.sandbox.procfs import MachineProc
from environments.sandbox.rooted import RootedFiles
from environments.sandbox.sockets import Dialer
from environments.ssh.link import Link
from environments.types import Lease, Limits, Supply

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from environments.lab.lab import LabHost, RunningLab
    from environments.protocols import Control
    from environments.types import Certificate
    from environments.wire import Wire

__all__ = ["LabLease", "LabMachine"]

_LINGER_S = 60.0
_OCCUPIED_BYTES = 48 << 20
"""By a host with its SSH server and attendant; what the agent runs comes on top."""


@dataclass(frozen=True, kw_only=True)
class LabLease(Lease):
    """The first host of a lab, and the others beside it."""

    lab: RunningLab
    """For what is done to the lab as a whole: cutting a host off, killing its SSH server."""
    hosts: Mapping[str, Lease]
    """Every host by name, the first included."""


@dataclass(frozen=True, kw_only=True)
class LabMachine:
    """Provider of labs: the agent works on the first host, over SSH, and reaches the others from there."""

    hosts: int | tuple[str, ...] = 2
    """How many, called node1, node2, ...; or their names."""
    limits: Limits = field(default_factory=Limits)
    """Fences of each host."""
    name: str = "lab"

    @property
    def supply(self) -> Supply:
        """A lab takes a moment to come up; one is kept ready."""
        count = self.hosts if isinstance(self.hosts, int) else len(self.hosts)
        return Supply(occupies_bytes=count * _OCCUPIED_BYTES, ahead=1)

    @asynccontextmanager
    async def open(self, *, label: str, seed: int) -> AsyncGenerator[LabLease, None]:
        """Open one lab; leaving the context ends every process in it and proves that nothing is left.

        Raises:
            Unavailable: this host does not let us; the message says what to do about it.
            Leaked: something of the lab outlived it.
        """
        del label, seed  # every lab is the same
        controls: dict[str, Control] = {}
        async with Lab(hosts=self.hosts, limits=self.limits).up() as lab, AsyncExitStack() as stack:
            opened = await together(self._lease(lab, host, stack, controls) for host in lab.hosts.values())
            first, leases = opened[0], dict(zip(lab.hosts, opened, strict=True))
            controls.update({name: each.control for name, each in leases.items()})
            yield LabLease(
                agent=first.agent,
                control=first.control,
                certificate=_of_all(leases),
                closure=AllHosts(hosts={n: each.closure for n, each in leases.items() if each.closure}),
                gate=first.gate,
                lab=lab,
                hosts=leases,
            )

    async def _lease(
        self, lab: RunningLab, host: LabHost, stack: AsyncExitStack, controls: Mapping[str, Control]
    ) -> Lease:
        link = Link(host.ssh)
        stack.push_async_callback(link.aclose)
        await link.open()
        attendant = Attendant(
            partial(link.wire, BOOT_COMMAND),
            address=host.name,
            keep=secrets.token_hex(16),
            linger_s=_LINGER_S,
        )
        stack.push_async_callback(attendant.aclose)
        await attendant.start()
        agent = AttendedEnvironment(attendant, name=self.name, limits=self.limits)
        dialer = Dialer(
            user_namespace=f"/proc/{host.init}/ns/user",
            network_namespace=f"/proc/{host.init}/ns/net",
            started=lab.held.process,
        )
        stack.callback(dialer.close)
        files = RootedFiles(os.open(f"/proc/{host.init}/root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC))
        stack.callback(files.close)
        table = files.open(PurePosixPath("/proc"), os.O_RDONLY | os.O_DIRECTORY)
        proc = MachineProc(table, init=host.init)
        stack.callback(proc.close)
        control: Control
        if os.geteuid() == 0:
            control = LabControl(agent, host=host, files=files, proc=proc, dialer=dialer, hosts=controls)
        else:
            control = await _control_inside(host, agent, stack, controls)
        outside = HostOutside(
            host=host,
            fabric=lab.fabric,
            attendant=attendant,
            proc=proc,
            files=files,
            dialer=dialer,
            bridge=lab.bridge,
        )
        certificate, closure = await certify(outside, grade=control.grade)
        gate = NamespaceGate(dialer, proc)
        return Lease(agent=agent, control=control, certificate=certificate, closure=closure, gate=gate)


def _of_all(leases: Mapping[str, Lease]) -> Certificate:
    """Return the first host's certificate with the probes of all: a lab is as closed as each of its hosts."""
    first = next(iter(leases))
    probes = (
        replace(probe, name=named(name, probe.name, first=name == first))
        for name, lease in leases.items()
        for probe in lease.certificate.probes
    )
    return replace(leases[first].certificate, probes=tuple(probes))


async def _control_inside(
    host: LabHost, agent: AttendedEnvironment, stack: AsyncExitStack, controls: Mapping[str, Control]
) -> Control:
    """Return the handle of who is not root on the real host: a root put into the host from outside."""
    command = (*entering(host.init), "sh", "-c", BOOT_COMMAND)

    async def wire() -> Wire:
        return PipeWire(command)

    attendant = Attendant(wire, address=f"root of {host.name}")
    stack.push_async_callback(attendant.aclose)
    await attendant.start()
    return AttendedControl(attendant, agent=agent, user="agent", grade="root_shell", hosts=controls)
