"""The fence around the emulator: whoever broke out into it would find next to nothing there."""

from __future__ import annotations

import os
import secrets
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from environments.sandbox.identity import FIRST_UID, UIDS
from environments.sandbox.obstacles import forbidden_namespaces

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["Confinement", "confinement"]

# Starts when it is told to; never without its parent.
_STAGE = 'read -r go || exit 1; [ "$1" = alone ] && { ip link set lo up || exit 1; }; shift; exec "$@"'


@dataclass(frozen=True, kw_only=True)
class Confinement:
    """How one emulator is started."""

    owner: tuple[int, int]
    """Host uid and gid it runs as."""
    alone: bool
    """In a network namespace of its own, where there is nothing but its own loopback interface."""

    def command(self, argv: Sequence[str], *, devices: Sequence[Path] = ()) -> list[str]:
        """Return the chain of programs that ends in `argv`. Each becomes the next, in one process.

        Args:
            argv: what is started when a line comes in on standard input.
            devices: what it must be able to open.
        """
        uid, gid = self.owner
        groups = ",".join(str(group) for group in sorted(_groups(devices)))
        drop = (f"--reuid={uid}", f"--regid={gid}", f"--groups={groups}" if groups else "--clear-groups")
        # A device that is handed through reaches all of the machine's memory, which is locked for it.
        handed = any(str(device).startswith("/dev/vfio/") for device in devices)
        locked = ("prlimit", "--memlock=unlimited:unlimited") if handed else ()
        spaces = ("unshare", "--user", "--map-root-user", "--net", "--ipc", "--uts", "--")
        return [
            *(locked if os.geteuid() == 0 else ()),
            *(("setpriv", *drop) if os.geteuid() == 0 else ()),
            *(spaces if self.alone else ()),
            *("sh", "-c", _STAGE, "stage", "alone" if self.alone else "among others"),
            *("setpriv", "--pdeathsig=KILL", "--no-new-privs", "--inh-caps=-all", "--bounding-set=-all"),
            *argv,
        ]


def confinement(*, alone: bool = True) -> Confinement:
    """Return the closest confinement that this host permits.

    Args:
        alone: whether it may have a network namespace of its own.
    """
    uid, gid = os.geteuid(), os.getegid()
    if uid == 0:
        uid = gid = FIRST_UID + secrets.randbelow(UIDS)
    return Confinement(owner=(uid, gid), alone=alone and forbidden_namespaces() is None)


def _groups(devices: Sequence[Path]) -> set[int]:
    """Return the groups through which devices may be opened by those who do not own them."""
    found = [device.stat() for device in devices if device.exists()]
    through = stat.S_IRGRP | stat.S_IWGRP
    return {device.st_gid for device in found if device.st_mode & through == through}
