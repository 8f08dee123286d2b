"""Why this host does not let a sandbox open, and what to do about it."""

from __future__ import annotations

import shutil
from pathlib import Path

from environments.errors import Unavailable

__all__ = ["explain", "forbidden_namespaces"]

_PROGRAMS = {"bwrap": "bubblewrap", "unshare": "util-linux", "setpriv": "util-linux", "nsenter": "util-linux"}
_FORBIDDEN = {
    # sysctl: (the value that forbids user namespaces to ordinary users, the value that permits them)
    "kernel.apparmor_restrict_unprivileged_userns": ("1", "0"),
    "kernel.unprivileged_userns_clone": ("0", "1"),
    "user.max_user_namespaces": ("0", "15000"),
}


def explain(complaint: str) -> Unavailable:
    """Return the fault for a sandbox that did not open, with the mend where one is known.

    Args:
        complaint: what the failed programs printed, or the error that was raised.
    """
    for program, package in _PROGRAMS.items():
        if shutil.which(program) is None:
            return Unavailable(f"{program} is not installed", mend=f"sudo apt-get install {package}")
    if (found := forbidden_namespaces()) is not None:
        reason, mend = found
        return Unavailable(reason, mend=mend)
    line = complaint.splitlines()[-1] if complaint else "no reason was given"
    return Unavailable(f"the sandbox did not open: {line}", mend="`redline doctor` examines each part")


def forbidden_namespaces() -> tuple[str, str] | None:
    """Return why ordinary users may not make user namespaces and the mend; None where they may."""
    for name, (forbids, permits) in _FORBIDDEN.items():
        setting = Path("/proc/sys", name.replace(".", "/"))
        if setting.exists() and setting.read_text().strip() == forbids:
            return (
                f"this system forbids user namespaces ({name} = {forbids})",
                f"sudo sysctl -w {name}={permits}",
            )
    return None
