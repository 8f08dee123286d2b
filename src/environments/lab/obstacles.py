"""Why this host does not let a lab open, and what to do about it."""

from __future__ import annotations

import errno
import os
import shutil

from environments.errors import Unavailable
from environments.sandbox.obstacles import forbidden_namespaces

__all__ = ["explain", "missing"]

_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
_PACKAGES = {
    "bash": "bash",
    "bridge": "iproute2",
    "bwrap": "bubblewrap",
    "ip": "iproute2",
    "nft": "nftables",
    "nsenter": "util-linux",
    "setpriv": "util-linux",
    "ssh-keygen": "openssh-client",
    "sshd": "openssh-server",
    "tar": "tar",
    "unshare": "util-linux",
}
_PACKAGES_OF_USERS = {"newgidmap": "uidmap", "newuidmap": "uidmap"}


def missing() -> Unavailable | None:
    """Return the fault for programs that are not installed; None where all are."""
    wanted = _PACKAGES if os.geteuid() == 0 else {**_PACKAGES, **_PACKAGES_OF_USERS}
    absent = [program for program in wanted if shutil.which(program, path=_PATH) is None]
    if not absent:
        return None
    packages = " ".join(sorted({wanted[program] for program in absent}))
    verb = "is" if len(absent) == 1 else "are"
    return Unavailable(f"{', '.join(absent)} {verb} not installed", mend=f"sudo apt-get install {packages}")


def explain(complaint: str) -> Unavailable:
    """Return the fault for a lab that did not open, with the mend where one is known.

    Args:
        complaint: what the failed programs printed, or the error that was raised.
    """
    if (found := forbidden_namespaces()) is not None:
        reason, mend = found
        return Unavailable(reason, mend=mend)
    if os.strerror(errno.EMFILE) in complaint:
        return Unavailable("too many files are open for so many hosts", mend="ulimit -n 65536")
    line = complaint.splitlines()[-1] if complaint else "no reason was given"
    return Unavailable(f"the lab did not open: {line}", mend="`redline doctor` examines each part")
