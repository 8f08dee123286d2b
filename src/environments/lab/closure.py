"""The certificate of a lab's host: what is declared about its closure, held against what is found.

Everything is read or tried from outside: in the kernel's view of the host's processes and of the fabric, and
by calling from the host's network whatever could be a way out of it.
"""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from environments.errors import Broken
from environments.lab.host import OWN_PROCESSES
from environments.processes import output_of
from environments.sandbox.closure import NAMESPACES, private, rlimit, root_of, status_of, up
from environments.types import Certificate, Probe

if TYPE_CHECKING:
    from environments.lab.lab import LabHost
    from environments.sandbox.sockets import Dialer
    from environments.types import Grade

__all__ = ["certify"]

_NETWORK = "004D0A"
"""10.77.0 as the kernel's table of routes spells it."""
_ELSEWHERE = "192.0.2.1"
"""An address that is nobody's (RFC 5737)."""
_CAPABILITIES = ("CapInh", "CapPrm", "CapEff", "CapAmb")


async def certify(host: LabHost, *, fabric: int, agent: int, dialer: Dialer, grade: Grade) -> Certificate:
    """Examine a host that is open and empty.

    Args:
        host: the host.
        fabric: process 1 of what joins the lab's hosts.
        agent: a process that the agent's commands descend from. Like `fabric`, as the real host numbers it.
        dialer: makes connections in the host's network.
        grade: of the control handle.
    """
    enforced = host.fence.enforced()
    memory = "memory" in enforced or rlimit(host.init, "Max address space", host.limits.memory_bytes)
    processes = "pids" in enforced or rlimit(
        host.init, "Max processes", host.limits.processes + OWN_PROCESSES
    )
    fences = {
        "memory": enforced.get("memory", f"rlimit: {host.limits.memory_bytes} bytes for each process"),
        "processes": enforced.get("pids", "rlimit"),
        "disk": "tmpfs size",
        "open files": "rlimit",
        "output": "a cap on what is kept",
    }
    status = status_of(agent)
    held = [name for name in _CAPABILITIES if int(status[name], 16)]
    fenced = host.fence.holds(host.init) and host.fence.holds(agent)
    probes = (
        *(private(host.init, name) for name in NAMESPACES),
        Probe(name="root directory", declared="the machine's own", found=_root(host.init)),
        Probe(name="network interfaces", declared="eth0, lo", found=", ".join(_interfaces(host.init))),
        Probe(name="routes", declared="to the lab's hosts alone", found=_routes(host.init)),
        Probe(name="the lab's interfaces", declared="its own alone", found=_of_fabric(fabric)),
        Probe(name="the lab's routes", declared="to the lab's hosts alone", found=_routes(fabric)),
        Probe(name="calls to the outside", declared="refused", found=await _calls(dialer)),
        Probe(name="the agent's user", declared="its own", found=_user(status, host)),
        Probe(name="capabilities", declared="none", found=", ".join(held) or "none"),
        Probe(
            name="new privileges",
            declared="refused",
            found="refused" if status["NoNewPrivs"] == "1" else "possible",
        ),
        Probe(name="memory fence", declared="up", found=up(memory)),
        Probe(name="process fence", declared="up", found=up(processes)),
        Probe(name="inside its fences", declared="yes", found="yes" if fenced else "no"),
    )
    return Certificate(provider="lab", grade=grade, probes=probes, fences=tuple(fences.items()))


def _root(init: int) -> str:
    root = os.open(f"/proc/{init}/root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return root_of(root)
    finally:
        os.close(root)


def _user(status: dict[str, str], host: LabHost) -> str:
    real = set(status["Uid"].split())
    return "its own" if real == {str(host.agent_id[0])} else f"the host's {', '.join(sorted(real))}"


def _interfaces(pid: int) -> list[str]:
    lines = Path(f"/proc/{pid}/net/dev").read_text().splitlines()[2:]
    return sorted(line.partition(":")[0].strip() for line in lines)


def _of_fabric(fabric: int) -> str:
    strange = [name for name in _interfaces(fabric) if name not in {"lab0", "lo"} and name[:4] != "port"]
    return ", ".join(strange) or "its own alone"


def _routes(pid: int) -> str:
    lines = Path(f"/proc/{pid}/net/route").read_text().splitlines()[1:]
    strange = [line.split()[1] for line in lines if line.split()[1] != f"00{_NETWORK}"]
    sixth = Path(f"/proc/{pid}/net/ipv6_route")
    if sixth.exists():
        strange += [line.split()[0] for line in sixth.read_text().splitlines() if line.split()[-1] != "lo"]
    return f"also to {', '.join(strange)}" if strange else "to the lab's hosts alone"


async def _calls(dialer: Dialer) -> str:
    """Listen on every address of the real host, and see that none of it can be called from the lab's."""
    status, said = await output_of(["ip", "-o", "-4", "address", "show"])
    addresses = [line.split()[3].partition("/")[0] for line in said.splitlines()] if status == 0 else []
    with socket.create_server(("", 0)) as canary:
        canary.setblocking(False)
        port = canary.getsockname()[1]
        called = await asyncio.gather(*(_call(dialer, each, port) for each in (*addresses, _ELSEWHERE)))
        with suppress(BlockingIOError):
            canary.accept()[0].close()
            return "heard on the real host"
    through = [address for address in called if address]
    return f"answered by {', '.join(through)}" if through else "refused"


async def _call(dialer: Dialer, address: str, port: int) -> str:
    """Return the address if something there takes the call."""
    with suppress(OSError, Broken):
        (await dialer.connect(address, port, timeout_s=0.5)).close()
        return address
    return ""
