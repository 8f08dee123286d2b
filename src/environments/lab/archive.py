"""The directory tree that every host of a lab starts from, as an archive that the host unpacks.

Nothing of it is a file on the real host, so nothing is left when the lab's runner is killed.
"""

from __future__ import annotations

import io
import os
import tarfile
import tempfile
import time
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from environments.sandbox.skeleton import lay_out

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["AGENT_ID", "archive_of", "script"]

AGENT_ID = 1000

_ACCOUNTS = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/bash\n"
    "sshd:x:100:100::/run/sshd:/usr/sbin/nologin\n"
    "agent:x:1000:1000:agent:/home/agent:/bin/bash\n"
    "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
    "etc/group": "root:x:0:\ntty:x:5:\nsshd:x:100:\nagent:x:1000:\nnogroup:x:65534:\n",
}
_SSH = {
    # No PAM and no passwords: keys alone. What stands in /etc/ssh/keys the agent cannot change.
    "etc/ssh/sshd_config": """\
AddressFamily inet
HostKey /etc/ssh/ssh_host_ed25519_key
PidFile /run/sshd.pid
LogLevel ERROR
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
AllowUsers root agent
AuthorizedKeysFile /etc/ssh/keys/%u .ssh/authorized_keys
DisableForwarding yes
UseDNS no
PrintMotd no
PrintLastLog no
MaxStartups 1000:30:1000
MaxSessions 500
SetEnv LANG=C.UTF-8
Subsystem sftp internal-sftp
""",
    "etc/ssh/ssh_config": """\
Host *
  AddressFamily inet
  BatchMode yes
  StrictHostKeyChecking yes
  UpdateHostKeys no
""",
}
_PRIVATE_DIRECTORIES = {"root": 0, "home/agent/.ssh": AGENT_ID, "run/sshd": 0}


def archive_of(files: Mapping[str, tuple[str, int, int]]) -> bytes:
    """Return the archive of a lab: the common tree, and over it `files`.

    Args:
        files: path below the root -> text, mode, and id of the owner.
    """
    stream = io.BytesIO(_common())
    with tarfile.open(fileobj=stream, mode="a") as archive:
        for name, (text, mode, owner) in files.items():
            _add(archive, f"tree/{name}", text.encode(), mode=mode, owner=owner)
    return stream.getvalue()


@cache
def script(name: str) -> str:
    """Return the text of one of the lab's shell scripts."""
    return resources.files("environments.lab").joinpath(name).read_text()


@cache
def _common() -> bytes:
    stream = io.BytesIO()
    with tempfile.TemporaryDirectory(prefix="lab-") as place:
        lay_out(Path(place), supervisor=script("init.bash"))
        Path(place, "tree/run/session").rmdir()
        with tarfile.open(fileobj=stream, mode="w") as archive:
            for entry in sorted(os.listdir(place)):
                archive.add(Path(place, entry), entry, filter=_owned)
            for name, owner in _PRIVATE_DIRECTORIES.items():
                _add(archive, f"tree/{name}", None, mode=0o755 if name == "run/sshd" else 0o700, owner=owner)
            for name, text in {**_ACCOUNTS, **_SSH}.items():
                _add(archive, f"tree/{name}", text.encode(), mode=0o644, owner=0)
    return stream.getvalue()


def _owned(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """Give the user its home and root the rest."""
    entry.uid = entry.gid = AGENT_ID if entry.name == "tree/home/agent" else 0
    entry.uname = entry.gname = ""
    return entry


def _add(archive: tarfile.TarFile, name: str, data: bytes | None, *, mode: int, owner: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.mode, entry.uid, entry.gid, entry.mtime = mode, owner, owner, int(time.time())
    if data is None:
        entry.type = tarfile.DIRTYPE
        archive.addfile(entry)
    else:
        entry.size = len(data)
        archive.addfile(entry, io.BytesIO(data))
