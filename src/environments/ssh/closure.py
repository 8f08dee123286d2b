"""The certificate of an SSH host: what is declared about its closure, held against what is found there.

redline did not build the host, so everything is tried or read on it: as the agent what it can reach, as root
what holds it.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

from environments.ssh.canaries import canaries_on
from environments.ssh.errand import send_on_errand
from environments.types import Certificate, Probe

if TYPE_CHECKING:
    from environments.attendant import Attendant
    from environments.ssh.link import Link
    from environments.types import Limits

__all__ = ["certify"]

_OUTSIDE = "example.com"
_WAIT_S = 1.0
_SHARED = ("/tmp", "/var/tmp", "/dev/shm")  # noqa: S108  on the host


async def certify(
    *, name: str, agent: Attendant, agent_link: Link, control_link: Link | None, limits: Limits
) -> Certificate:
    """Examine a host that is leased, before the agent is let in.

    Args:
        name: of the provider.
        agent: the agent's attendant, which has run nothing yet.
        agent_link: its login.
        control_link: root's login; None where there is none, and then nothing is claimed.
        limits: what was asked for.
    """
    if control_link is None:
        probe = Probe(name="control user", declared="root", found="the agent's own")
        return Certificate(provider=name, grade="same_user", probes=(probe,), closed=False)
    hello = agent.hello
    seen = hello.ssh.split()[:1]
    async with canaries_on([*seen, agent_link.own_address]) as canaries:
        outside, inside, sudo = await asyncio.gather(
            send_on_errand(
                agent_link, "as_agent", canaries=canaries.described(), name=_OUTSIDE, wait_s=_WAIT_S
            ),
            send_on_errand(control_link, "as_root", pid=hello.pid, places=[hello.home, *_SHARED]),
            agent.ask("exec", takes_s=10, argv=["sudo", "-n", "true"], timeout_s=10, most=4096, cwd="/"),
        )
        reached = sorted(canaries.heard | set(outside.fields["reached"]))
        tried = bool(canaries.sockets)
    held = inside.fields
    memory, processes = _fence(held, "memory", limits), _fence(held, "processes", limits)
    world, disk = _world(held), _disk(held, limits)
    fences = {"memory": memory, "processes": processes, "disk": disk, "open files": "rlimit"}
    ways_out = sorted({*outside.fields["ways_out"], *held["ways_out"]})
    runner = ", ".join(reached) or ("out of reach" if tried else "not to be tried: its address is translated")
    probes = (
        Probe(name="agent user", declared="not root", found="root" if hello.uid == 0 else "not root"),
        Probe(name="sudo", declared="refused", found="granted" if sudo.fields["status"] == 0 else "refused"),
        Probe(name="default route", declared="none", found=", ".join(ways_out) or "none"),
        Probe(name="the runner", declared="out of reach", found=runner),
        Probe(name="names of the outside", declared="refused", found=outside.fields["resolves"]),
        Probe(name="world", declared="its own", found=world),
        Probe(name="memory fence", declared="up", found=_up(memory)),
        Probe(name="process fence", declared="up", found=_up(processes)),
        Probe(name="disk fence", declared="up", found=_up(disk)),
    )
    return Certificate(provider=name, grade="root_shell", probes=probes, fences=tuple(fences.items()))


def _up(fence: str) -> str:
    return "down" if fence.startswith("not enforced") else "up"


def _fence(held: dict[str, Any], resource: str, limits: Limits) -> str:
    """How a resource is limited: by a control group the host has, or by the rlimit the attendant set."""
    name, most, slack = {
        "memory": ("Max address space", limits.memory_bytes, 0),
        "processes": ("Max processes", limits.processes, 16),
    }[resource]
    if held["groups"].get(resource, 1 << 62) <= most + slack:
        return "the host's control group"
    found = held["limits"].get(name)
    if found is None or found > most + slack:
        return "not enforced"
    return f"rlimit: {most} bytes for each process" if resource == "memory" else "rlimit"


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
