"""What preparation and the judge hold of a container."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from environments.processes import output_of
from environments.sandbox.machine import OutsideControl

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import PurePosixPath

    from environments.attendant import AttendedEnvironment
    from environments.sandbox.procfs import MachineProc
    from environments.sandbox.rooted import RootedFiles
    from environments.sandbox.sockets import Dialer
    from environments.types import Process

__all__ = ["ContainerControl", "forbid_user_namespaces", "inside"]


def inside(init: int, kind: str = "pid") -> list[int]:
    """Return every process, as the host numbers it, that shares a namespace with process `init`.

    What an engine starts in a running container descends from the engine, not from process 1.
    """
    try:
        wanted = Path(f"/proc/{init}/ns/{kind}").readlink()
    except OSError:
        return []
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                if Path(f"/proc/{name}/ns/{kind}").readlink() == wanted:
                    found.append(int(name))
            except OSError:  # ended meanwhile, or not ours to see
                continue
    return found


async def forbid_user_namespaces(init: int) -> bool:
    """Have no further user namespace made in a container; False where it cannot be forbidden from outside.

    In one of its own the agent would have every capability over it, and the kernel's whole face to try. The
    limit belongs to the container's user namespace, so it must be the container's alone.
    """
    if not set(inside(init, "user")) <= set(inside(init)):
        return False
    setting = "/proc/sys/user/max_user_namespaces"
    enter = ("nsenter", f"--user=/proc/{init}/ns/user", "--setuid=0", "--setgid=0", "--")
    status, said = await output_of([*enter, "sh", "-c", f"echo 0 >{setting} && cat {setting}"])
    return status == 0 and said.strip() == "0"


class ContainerControl(OutsideControl):
    """The container from outside. Only a service is started from inside, before the agent comes."""

    def __init__(
        self,
        agent: AttendedEnvironment,
        *,
        files: RootedFiles,
        proc: MachineProc,
        dialer: Dialer,
        owner: tuple[int, int],
    ) -> None:
        super().__init__(agent, files=files, proc=proc, dialer=dialer, owner=owner)
        self._hands = agent

    async def _start(self, argv: Sequence[str], cwd: PurePosixPath, log: PurePosixPath) -> tuple[int, str]:
        result = await self._hands.exec(["sh", "-c", self._line(argv, log)], cwd=cwd, timeout_s=10.0)
        self._hands.used = False  # that was preparation
        return result.status, result.text

    async def processes(self) -> list[Process]:
        """List the machine's processes, the attendant left out."""
        return self._proc.processes(without=frozenset(self._hands.attendant.hello.pids))

    async def freeze(self) -> None:
        """End the commands that run; what runs in the background goes on."""
        await self._hands.freeze()
