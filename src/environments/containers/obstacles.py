"""Why an engine does not start a container, and what to do about it."""

from __future__ import annotations

import getpass
import re
from typing import NamedTuple

from environments.errors import Unavailable

__all__ = ["explain"]


class _Obstacle(NamedTuple):
    complaint: str
    """What the engine prints, as a regular expression."""
    reason: str
    mend: str


_HYBRID = _Obstacle(
    "cgroups in hybrid mode not supported",
    "{engine} cannot start containers: this host mounts both generations of control groups",
    "boot with systemd.unified_cgroup_hierarchy=1, or start redline with: "
    "sudo unshare --mount sh -c 'umount /sys/fs/cgroup/unified && exec redline ...'",
)
_NO_PYTHON = _Obstacle(
    r"executable file .?python3.? not found|\"python3\": executable file not found|stat python3: no such",
    "image {image} has no python3, which redline needs inside",
    "build one that has: FROM {image}, then RUN apt-get update && apt-get install -y python3-minimal",
)
_NO_IDS = _Obstacle(
    r"newuidmap|newgidmap|no subuid ranges|insufficient UIDs|/etc/subuid",
    "this user has no range of user ids for containers",
    "sudo apt-get install uidmap; "
    "sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {user}",
)
_KNOWN = (
    _HYBRID,
    _NO_PYTHON,
    _NO_IDS,
    _Obstacle(
        "Cannot connect to the Docker daemon|docker daemon is not running",
        "the Docker daemon is not running",
        "sudo systemctl start docker",
    ),
    _Obstacle(
        r"permission denied while trying to connect to the Docker|docker\.sock: connect: permission denied",
        "this user may not talk to the Docker daemon",
        "use podman, which needs no daemon, or run as root",
    ),
    _Obstacle(
        "image not known|[Nn]o such image|Unable to find image",
        "there is no image {image}",
        "{engine} pull {image}; redline fetches none by itself",
    ),
    _Obstacle(
        r"setrlimit `?RLIMIT_(\w+)`?: Operation not permitted",
        "{engine} asks for higher limits than this process may hand on",
        "raise them (ulimit -H -a shows them), or set default_ulimits in containers.conf",
    ),
    _Obstacle(
        r"unknown flag: --(\S+)",
        "this {engine} is too old: it does not know --{0}",
        "podman 4.3 or docker 23 and newer do",
    ),
    _Obstacle(
        "kernel does not support overlay|overlay.*not supported",
        "{engine} has no copy-on-write file system here",
        "sudo apt-get install fuse-overlayfs",
    ),
    _Obstacle(
        "OCI runtime .*not found|could not find .*(?:crun|runc)",
        "{engine} has no runtime",
        "sudo apt-get install crun",
    ),
    _Obstacle(
        "cgroup.*permission denied|cgroup.*not (?:available|delegated)|controllers? .* not available",
        "{engine} may not limit what containers use",
        "start redline with: systemd-run --user --scope -p Delegate=yes COMMAND",
    ),
)


def explain(engine: str, complaint: str, *, image: str = "") -> Unavailable:
    """Return the fault for a container that did not start, with the mend where one is known.

    Args:
        engine: name of the engine.
        complaint: what it printed, or the error that was raised.
        image: name of the image.
    """
    for known in _KNOWN:
        if (found := re.search(known.complaint, complaint)) is not None:
            names = {"engine": engine, "image": image, "user": getpass.getuser()}
            reason = known.reason.format(*found.groups(), **names)
            return Unavailable(reason, mend=known.mend.format(*found.groups(), **names))
    lines = [line for line in complaint.splitlines() if line.strip()]
    line = lines[-1].strip() if lines else "no reason was given"
    return Unavailable(f"the container did not start: {line}", mend=f"`{engine} info` describes the engine")
