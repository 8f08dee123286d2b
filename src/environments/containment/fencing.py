"""Resource fences as a certificate states and probes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from environments.containment.kernel import rlimit, up
from environments.types import Probe

if TYPE_CHECKING:
    from environments.sandbox.fences import Fence
    from environments.types import Limits

__all__ = ["fenced", "fences_of", "processor_seconds"]

_PART = 12
"""Of what the machine may use in its life, one process gets this part where nobody counts for the machine."""


def processor_seconds(limits: Limits) -> int:
    """Return the processor time of one process, where no control group shares it out: an hour by default."""
    return max(1, int(limits.cpus * limits.lifetime_s / _PART))


def fenced(init: int, fence: Fence, limits: Limits, *, own_processes: int = 0) -> tuple[Probe, ...]:
    """Probe the fences around a process: control groups where they stand, else what limits it by itself."""
    standing = fence.standing()
    memory = "memory" in standing or rlimit(init, "Max address space", limits.memory_bytes)
    processes = "pids" in standing or rlimit(init, "Max processes", limits.processes + own_processes)
    cpu = "cpu" in standing or rlimit(init, "Max cpu time", processor_seconds(limits))
    return (
        Probe(name="memory fence", declared="up", found=up(memory)),
        Probe(name="process fence", declared="up", found=up(processes)),
        Probe(name="processor fence", declared="up", found=up(cpu)),
        Probe(name="inside its fences", declared="yes", found="yes" if fence.holds(init) else "no"),
    )


def fences_of(fence: Fence, limits: Limits, *, disk: str, output: str) -> tuple[tuple[str, str], ...]:
    """Say how each resource is limited.

    Args:
        fence: the machine's control groups.
        limits: what was asked for.
        disk: what limits what is written.
        output: what limits what commands print.
    """
    enforced, each = fence.enforced(), "for each process"
    return (
        ("memory", enforced.get("memory", f"rlimit: {limits.memory_bytes} bytes {each}")),
        ("processes", enforced.get("pids", "rlimit")),
        ("cpu", enforced.get("cpu", f"rlimit: {processor_seconds(limits)} s of processor time {each}")),
        ("disk", disk),
        ("open files", "rlimit"),
        ("output", output),
        ("wall time", f"the warden, {limits.lifetime_s:g} s"),
    )
