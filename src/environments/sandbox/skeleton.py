"""The directory tree that every sandbox starts from, made once per process.

It holds what a small Debian would have outside `/usr`, and of this host only the loader's cache and which
alternative each command stands for, without which programs would not start.
"""

from __future__ import annotations

import shutil
from pathlib import Path, PurePosixPath

__all__ = ["HOME", "HOSTNAME", "SUPERVISOR", "lay_out"]

HOME = PurePosixPath("/home/agent")
HOSTNAME = "machine"
SUPERVISOR = PurePosixPath("/etc/supervisor.bash")
"""Read once, whole, by process 1: changing it later changes nothing."""

_DIRECTORIES = (
    "dev",
    "etc/alternatives",
    "home/agent",
    "mnt",
    "opt",
    "proc",
    "root",
    "run/session",
    "srv",
    "sys",
    "tmp",
    "usr",
    "var/cache",
    "var/lib",
    "var/log",
    "var/spool",
    "var/tmp",
)
_LINKS = {
    "bin": "usr/bin",
    "sbin": "usr/sbin",
    "lib": "usr/lib",
    "lib64": "usr/lib64",
    "var/run": "/run",
    "etc/os-release": "../usr/lib/os-release",
}
_FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/bash\n"
    "agent:x:1000:1000:agent:/home/agent:/bin/bash\n"
    "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
    "etc/group": "root:x:0:\nagent:x:1000:\nnogroup:x:65534:\n",
    "etc/hostname": f"{HOSTNAME}\n",
    "etc/hosts": f"127.0.0.1 localhost {HOSTNAME}\n::1 localhost\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
    "etc/profile": "PATH=/usr/local/bin:/usr/bin:/bin\n",
}
_WRITABLE_BY_ALL = ("tmp", "var/tmp")


def lay_out(stage: Path, *, supervisor: str) -> None:
    """Fill an empty directory with what a stage is copied from: the tree, and the layers beside it.

    Readable by every user, so that an unprivileged stage can copy it.
    """
    stage.chmod(0o755)
    for layer in ("tree", "upper", "work", "local"):
        (stage / layer).mkdir()
    _plant(stage / "tree", supervisor)


def _plant(root: Path, supervisor: str) -> None:
    for name in _DIRECTORIES:
        (root / name).mkdir(parents=True)
    for name, target in _LINKS.items():
        if not name.startswith("lib") or Path("/", target).exists():
            (root / name).symlink_to(target)
    for name, text in _FILES.items():
        (root / name).write_text(text)
    for name in _WRITABLE_BY_ALL:
        (root / name).chmod(0o1777)
    for link in Path("/etc/alternatives").glob("*"):
        if Path("/usr/bin", link.name).is_symlink():
            (root / "etc/alternatives" / link.name).symlink_to(link.readlink())
    if (cache := Path("/etc/ld.so.cache")).exists():
        shutil.copyfile(cache, root / "etc/ld.so.cache")
    (root / SUPERVISOR.relative_to("/")).write_text(supervisor)
