"""The certificate of an SSH host: what is declared about its closure, held against what is found there.

redline did not build the host, so everything is tried or read on it: as the agent what it can reach, as root
what holds it. The runner's own view ends at its own addresses, where it listens.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from environments.attendant.witness import ThroughAttendant
from environments.containment.examination import Examination
from environments.containment.fencing import processor_seconds
from environments.containment.inside import Declared
from environments.ssh.errand import send_on_errand
from environments.types import Certificate, Probe

if TYPE_CHECKING:
    from environments.attendant import Attendant
    from environments.ssh.link import Link
    from environments.types import Limits

__all__ = ["certify"]

_SHARED = ("/tmp", "/var/tmp", "/dev/shm")  # noqa: S108  on the host
# What a host's own interfaces, disks and devices are is its owner's choice; what counts is where they lead.
_INSIDE = Declared(
    user=None,
    capabilities="none",
    new_privileges=None,
    interfaces=None,
    routes=None,
    mounts=None,
    devices=None,
    nests=None,
    by_itself=True,
)
_FENCES = (("memory", "memory"), ("process", "processes"), ("processor", "cpu"))
_DECLARED = (
    ("may reach", "what its own network lets it reach, but not the runner, and no default route leads on"),
    ("other machines", "those of its own network: redline owns none of them, and knocks at none"),
    ("sees of the host", "the host, as its agent's user does"),
    ("shares with the host", "the kernel, with everybody who works on it"),
    ("who may see it", "the host's root and administrators, and the runner as root over SSH"),
)


@dataclass(frozen=True, kw_only=True)
class HostOutside:
    """What root sees on the host.

    Args:
        agent: the agent's attendant.
        control_link: root's login.
        limits: what was asked for.
    """

    agent: Attendant
    control_link: Link
    limits: Limits

    async def held(self) -> dict[str, Any]:
        """Have root look."""
        hello = self.agent.hello
        places = [hello.home, *_SHARED]
        return (await send_on_errand(self.control_link, "as_root", pid=hello.pid, places=places)).fields

    async def __call__(self) -> tuple[Probe, ...]:
        """Look once.

        Raises:
            Broken: the host cannot be reached, or does not do what root asks.
        """
        return self.probes(await self.held())

    def probes(self, held: dict[str, Any]) -> tuple[Probe, ...]:
        """Hold what root saw against what is declared."""
        uid = self.agent.hello.uid
        fences = dict(self.fences(held))
        return (
            Probe(name="agent user", declared="not root", found="root" if uid == 0 else "not root"),
            Probe(name="default route", declared="none", found=", ".join(held["ways_out"]) or "none"),
            Probe(name="world", declared="its own", found=_world(held)),
            Probe(name="disk fence", declared="up", found=_up(fences["disk"])),
            *(
                Probe(name=f"{name} fence", declared="up", found=_up(fences[resource]))
                for name, resource in _FENCES
                if held["limits"]  # none are to be read while a killed attendant is being replaced
            ),
        )

    def fences(self, held: dict[str, Any]) -> tuple[tuple[str, str], ...]:
        """Say how each resource is limited."""
        limits = self.limits
        return (
            ("memory", _fence(held, "memory", limits)),
            ("processes", _fence(held, "processes", limits)),
            ("cpu", _fence(held, "cpu", limits)),
            ("disk", _disk(held, limits)),
            ("open files", "rlimit"),
            ("output", "a cap on what is kept"),
            ("wall time", f"the warden, {limits.lifetime_s:g} s"),
        )


async def certify(
    *, name: str, agent: Attendant, agent_link: Link, control_link: Link | None, limits: Limits
) -> tuple[Certificate, Examination | None]:
    """Examine a host that is leased, before the agent is let in; return what examines it again, too.

    Args:
        name: of the provider.
        agent: the agent's attendant, which has run nothing yet.
        agent_link: its login.
        control_link: root's login; None where there is none, and then nothing is claimed.
        limits: what was asked for.
    """
    if control_link is None:
        probe = Probe(name="control user", declared="root", found="the agent's own")
        return Certificate(provider=name, grade="same_user", probes=(probe,), closed=False), None
    outside = HostOutside(agent=agent, control_link=control_link, limits=limits)
    addresses = [*agent.hello.ssh.split()[:1], agent_link.own_address]
    closure = Examination(
        outside=outside,
        inside=ThroughAttendant(agent),
        declared=_INSIDE,
        addresses=lambda: addresses,
        nowhere="not to be tried: the runner's address is translated",
    )
    held, probes, sudo = await asyncio.gather(
        outside.held(),
        closure.examine("before"),
        agent.ask("exec", takes_s=10, argv=["sudo", "-n", "true"], timeout_s=10, most=4096, cwd="/"),
    )
    granted = "granted" if sudo.fields["status"] == 0 else "refused"
    certificate = Certificate(
        provider=name,
        grade="root_shell",
        probes=(*probes, Probe(name="sudo", declared="refused", found=granted, seen_from="inside")),
        fences=outside.fences(held),
        declared=_DECLARED,
    )
    return certificate, closure


def _up(fence: str) -> str:
    return "down" if fence.startswith("not enforced") else "up"


def _fence(held: dict[str, Any], resource: str, limits: Limits) -> str:
    """How a resource is limited: by a control group the host has, or by the rlimit the attendant set."""
    name, most, slack = {
        "memory": ("Max address space", limits.memory_bytes, 0),
        "processes": ("Max processes", limits.processes, 16),
        "cpu": ("Max cpu time", processor_seconds(limits), 0),
    }[resource]
    if held["groups"].get(resource, 1 << 62) <= most + slack:
        return "the host's control group"
    found = held["limits"].get(name)
    if found is None or found > most + slack:
        return "not enforced"
    if resource == "processes":
        return "rlimit"
    return f"rlimit: {most} {'bytes' if resource == 'memory' else 's of processor time'} for each process"


def _same_kernel(held: dict[str, Any]) -> bool:
    return bool(held["boot_id"] == Path("/proc/sys/kernel/random/boot_id").read_text().strip())


def _world(held: dict[str, Any]) -> str:
    """Whether what the agent shares with others ends at the host."""
    if _same_kernel(held):
        shared = [
            name
            for name, number in held["worlds"].items()
            if Path(f"/proc/self/ns/{name}").stat().st_ino == number
        ]
        return f"the runner's ({', '.join(shared)})" if shared else "its own"
    if held["virtual"] or held["container"] or len(held["own"]) > 1:
        return "its own"
    return "a host's, neither a virtual machine nor a container"


def _disk(held: dict[str, Any], limits: Limits) -> str:
    if held["free"] <= limits.disk_bytes:
        return "what its file systems hold"
    if held["virtual"] and not _same_kernel(held):
        return f"the virtual disk: {held['free'] >> 20} MiB free"
    return "not enforced"
