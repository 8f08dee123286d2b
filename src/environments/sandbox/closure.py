"""The certificate of a sandbox: what is declared about its closure, held against what is found.

From outside, the kernel's own view of the machine's process 1. From inside, one start of the interpreter as
the agent's user; the agent owns every file of the machine, so once it was there that alone decides nothing.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from environments.containment.examination import Examination
from environments.containment.fencing import fenced, fences_of
from environments.containment.inside import Witnessed, program_with, read
from environments.containment.kernel import (
    held,
    new_privileges,
    status_of,
    still_there,
)
from environments.containment.namespaces import apart
from environments.errors import Broken, Closed
from environments.types import Certificate, Probe

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from environments.containment.inside import Declared
    from environments.sandbox.fences import Fence
    from environments.sandbox.rooted import RootedFiles
    from environments.sandbox.shell import Shell
    from environments.types import Limits

__all__ = ["DECLARED", "Outside", "certify"]

_CAPABILITIES = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")
_LOOK_S = 10.0
DECLARED = (
    ("may reach", "its own loopback interface, and nothing else: there is no other interface and no route"),
    ("other machines", "none is within reach, as none shares its network"),
    (
        "sees of the host",
        "the files of /usr and the loader's cache; which kernel it runs, processors and load",
    ),
    ("shares with the host", "the kernel"),
    ("who may see it", "the host's root and the user that runs redline: files, processes, memory"),
)


@dataclass(frozen=True, kw_only=True)
class Outside:
    """What the kernel says of a machine that is built from namespaces.

    Args:
        init: process 1 of the machine, as the host numbers it.
        root: descriptor of the machine's root directory.
        files: the machine's files.
        fence: the machine's control groups.
        limits: what was asked for.
        own: point and kind of mounts that are part of the machine though they show something of the host.
        own_processes: of the machine itself, which are not the agent's to spend.
        more: returns what else is probed on machines of the kind.
    """

    init: int
    root: int
    files: RootedFiles
    fence: Fence
    limits: Limits
    own: frozenset[tuple[str, str]] = frozenset({("/usr", "overlay")})
    own_processes: int = 0
    more: Callable[[], tuple[Probe, ...]] = tuple

    async def __call__(self) -> tuple[Probe, ...]:
        """Look once.

        Raises:
            OSError: the machine is gone.
        """
        init, status = self.init, status_of(self.init)
        found = (
            *apart(init, root=self.root, files=self.files, own=self.own),
            Probe(name="capabilities", declared="none", found=held(status, _CAPABILITIES)),
            Probe(name="new privileges", declared="refused", found=new_privileges(status)),
            *fenced(init, self.fence, self.limits, own_processes=self.own_processes),
            *self.more(),
        )
        still_there(init)
        return found


@dataclass(frozen=True, kw_only=True)
class ThroughShell:
    """Looks at a sandbox from inside through its process 1, as every command of the agent is run."""

    shell: Shell

    async def look(self, about: Mapping[str, Any]) -> Witnessed | None:
        """Return what was seen; see `Inside`."""
        argv = ["/usr/bin/python3", "-I", "-S", "-"]
        try:
            async with asyncio.timeout(_LOOK_S + 5):
                result = await self.shell.run_ours(argv, stdin=program_with(about), timeout_s=_LOOK_S)
        except (Broken, Closed, TimeoutError):
            return None
        fields = read(result.stdout) if result.ok else None
        return None if fields is None else Witnessed(fields=fields, vouched=bool(about["alone"]))


async def certify(
    outside: Outside,
    *,
    shell: Shell,
    declared: Declared,
    agents_doing: Callable[[], bool],
) -> tuple[Certificate, Examination]:
    """Examine a machine that is open and empty; return its certificate, and what examines it again.

    Args:
        outside: the kernel's view.
        shell: runs commands in it.
        declared: what the agent is to find.
        agents_doing: asked when it cannot be examined any more: whether the agent brought that about.
    """
    closure = Examination(
        outside=outside, inside=ThroughShell(shell=shell), declared=declared, agents_doing=agents_doing
    )
    fences = fences_of(
        outside.fence, outside.limits, disk="tmpfs size", output="tmpfs size, and a cap on what is read"
    )
    certificate = Certificate(
        provider="sandbox",
        grade="host",
        probes=await closure.examine("before"),
        fences=fences,
        declared=DECLARED,
    )
    return certificate, closure
