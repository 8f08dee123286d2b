"""A machine that contains nothing, so that the battery can be seen to fail.

Plain processes of an ordinary user of this host, in a folder of their own: no namespaces, no fences, the
host's network, and what a careless runner leaves lying about inherited. It is in no catalogue.
"""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from environments.attendant import BOOT_COMMAND, Attendant, AttendedControl, AttendedEnvironment
from environments.errors import Unavailable
from environments.pipe import PipeWire
from environments.sandbox.identity import FIRST_UID, UIDS
from environments.types import Certificate, Lease, Limits, Probe

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from environments.wire import Wire

__all__ = ["OpenMachine"]


@dataclass(frozen=True, kw_only=True)
class OpenMachine:
    """Provider of machines that are deliberately open. Never of use but to test the drill.

    Opened by root alone, who can become a user that owns nothing; anybody else would run it as themselves,
    with all that is theirs.
    """

    limits: Limits = field(default_factory=Limits)
    """Enforced by nothing."""
    name: str = "open-machine-that-contains-nothing"

    @asynccontextmanager
    async def open(self, *, label: str, seed: int) -> AsyncGenerator[Lease, None]:
        """Open one. Leaving the context ends what it waits for, and no more: that is what is wrong with it.

        Raises:
            Unavailable: this is not root.
        """
        del seed
        if os.geteuid() != 0:
            raise Unavailable("only root can become a user that owns nothing", mend="run as root")
        uid = FIRST_UID + secrets.randbelow(UIDS)
        home = Path(tempfile.mkdtemp(prefix="open-"))
        async with AsyncExitStack() as stack:
            stack.callback(shutil.rmtree, home, ignore_errors=True)
            os.chown(home, uid, uid)
            os.chmod(home, 0o755)  # noqa: PTH101, S103  its files are no secret
            attendant = Attendant(_wire(uid, home), address=label, keep=secrets.token_hex(16), linger_s=5.0)
            stack.push_async_callback(attendant.aclose)
            await attendant.start()
            agent = AttendedEnvironment(attendant, name=self.name, limits=self.limits)
            control = AttendedControl(attendant, agent=agent, user="", grade="same_user")
            probe = Probe(name="closure", declared="none", found="none")
            certificate = Certificate(provider=self.name, grade="same_user", probes=(probe,), closed=False)
            yield Lease(agent=agent, control=control, certificate=certificate)


def _wire(uid: int, home: Path) -> Callable[[], Awaitable[Wire]]:
    become = ("setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups")
    drills = {
        name: value for name, value in os.environ.items() if name.startswith("DRILL_") or name == "http_proxy"
    }
    given = {"HOME": str(home), "USER": "agent", "PATH": "/usr/local/bin:/usr/bin:/bin", **drills}

    async def wire() -> Wire:
        inherited = tuple(fd for fd in map(int, os.listdir("/proc/self/fd")) if fd > 2 and _left_open(fd))
        argv = [*become, "env", "-i", *(f"{k}={v}" for k, v in given.items()), "sh", "-c", BOOT_COMMAND]
        return PipeWire(argv, pass_fds=inherited)

    return wire


def _left_open(fd: int) -> bool:
    try:
        return os.get_inheritable(fd)
    except OSError:
        return False
