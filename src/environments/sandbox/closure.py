"""The certificate of a sandbox: what is declared about its closure, held against what is found.

Everything is read from outside, from the kernel's own view of the machine's process 1.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from environments.types import Certificate, Probe

if TYPE_CHECKING:
    from environments.sandbox.fences import Fence
    from environments.types import Limits

__all__ = ["NAMESPACES", "certify", "private", "rlimit", "root_of", "status_of", "up"]

NAMESPACES = ("user", "pid", "mnt", "net", "ipc", "uts", "cgroup")


def certify(
    *,
    init: int,
    root: int,
    fence: Fence,
    limits: Limits,
    provider: str = "sandbox",
    more: tuple[Probe, ...] = (),
) -> Certificate:
    """Examine a machine that is open and empty.

    Args:
        init: process 1 of the machine, as the host numbers it.
        root: descriptor of the machine's root directory.
        fence: the machine's control groups.
        limits: what was asked for.
        provider: the kind of machine.
        more: what else was probed on a machine of that kind.
    """
    enforced = fence.enforced()
    memory = "memory" in enforced or rlimit(init, "Max address space", limits.memory_bytes)
    processes = "pids" in enforced or rlimit(init, "Max processes", limits.processes)
    fences = {
        "memory": enforced.get("memory", f"rlimit: {limits.memory_bytes} bytes for each process"),
        "processes": enforced.get("pids", "rlimit"),
        "disk": "tmpfs size",
        "open files": "rlimit",
        "output": "tmpfs size, and a cap on what is read",
    }
    probes = (
        *(private(init, name) for name in NAMESPACES),
        Probe(name="root directory", declared="the machine's own", found=root_of(root)),
        Probe(name="network interfaces", declared="lo", found=_interfaces(init)),
        Probe(name="routes", declared="none", found=_routes(init)),
        Probe(name="capabilities", declared="none", found=_capabilities(init)),
        Probe(name="new privileges", declared="refused", found=_new_privileges(init)),
        Probe(name="memory fence", declared="up", found=up(memory)),
        Probe(name="process fence", declared="up", found=up(processes)),
        Probe(name="inside its fences", declared="yes", found="yes" if fence.holds(init) else "no"),
        *more,
    )
    return Certificate(provider=provider, grade="host", probes=probes, fences=tuple(fences.items()))


def private(init: int, name: str) -> Probe:
    """Probe whether a process has a namespace that is not ours."""
    own, its = (Path(f"/proc/{who}/ns/{name}").stat().st_ino for who in ("self", init))
    return Probe(
        name=f"{name} namespace", declared="private", found="the host's" if own == its else "private"
    )


def root_of(root: int) -> str:
    """Say whose root directory a descriptor is."""
    its, own = os.fstat(root), Path("/").stat()
    same = (its.st_dev, its.st_ino) == (own.st_dev, own.st_ino)
    return "the host's" if same else "the machine's own"


def _interfaces(init: int) -> str:
    lines = Path(f"/proc/{init}/net/dev").read_text().splitlines()[2:]
    return ", ".join(sorted(line.partition(":")[0].strip() for line in lines)) or "none"


def _routes(init: int) -> str:
    """Routes that lead anywhere but to the loopback interface."""
    lines = Path(f"/proc/{init}/net/route").read_text().splitlines()[1:]
    sixth = Path(f"/proc/{init}/net/ipv6_route")
    if sixth.exists():
        lines += [line for line in sixth.read_text().splitlines() if line.split()[-1] != "lo"]
    return f"{len(lines)}" if lines else "none"


def status_of(init: int) -> dict[str, str]:
    """Return the fields of a process's status."""
    lines = Path(f"/proc/{init}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def _capabilities(init: int) -> str:
    status = status_of(init)
    held = [name for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb") if int(status[name], 16)]
    return ", ".join(held) or "none"


def _new_privileges(init: int) -> str:
    return "refused" if status_of(init)["NoNewPrivs"] == "1" else "possible"


def rlimit(init: int, name: str, most: int) -> bool:
    """Whether a limit is set, and no higher than `most`."""
    lines = Path(f"/proc/{init}/limits").read_text().splitlines()
    value = next(line[len(name) :].split()[0] for line in lines if line.startswith(name))
    return value != "unlimited" and int(value) <= most


def up(up: bool) -> str:  # noqa: FBT001  reads as a word where it is called
    """Name the state of a fence."""
    return "up" if up else "down"
