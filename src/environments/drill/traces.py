"""What the host shows of the drill's own: processes with its mark, files in places that start things."""

from __future__ import annotations

import os
import re
import signal
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["end_marked", "marked", "owner_of", "starting_places", "stat_of", "words_alive"]

_STARTING = (
    "/etc/cron.d",
    "/etc/cron.daily",
    "/etc/cron.hourly",
    "/var/spool/cron",
    "/var/spool/cron/crontabs",
    "/var/spool/cron/atjobs",
    "/var/spool/at",
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/lib/systemd/system",
    "/run/systemd/transient",
    "/etc/init.d",
    "/etc/rc3.d",
    "/etc/rc.d",
    "/etc/profile.d",
    "/etc/udev/rules.d",
    "/etc/modprobe.d",
)
_STARTING_FILES = ("/etc/rc.local", "/etc/ld.so.preload")
_MOST_BYTES = 1 << 16


def stat_of(pid: int) -> list[str]:
    """Return the fields of a process's stat from its state on; empty where it is gone."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return []


def marked(mark: str) -> list[int]:
    """Return the living processes of this host that have `mark` in their arguments or environment."""
    return [pid for pid in _pids() if pid != os.getpid() and _has(pid, mark.encode())]


def words_alive(token: str) -> set[str]:
    """Return the words, which begin with `token`, of attempts that processes of this host are left of."""
    found: set[str] = set()
    for pid in marked(token):
        for kind in ("cmdline", "environ"):
            with suppress(OSError):
                text = Path(f"/proc/{pid}/{kind}").read_bytes().decode(errors="replace")
                found.update(re.findall(f"{token}[0-9a-f]{{4}}", text))
    return found


def _pids() -> Iterator[int]:
    for name in os.listdir("/proc"):
        if name.isdigit():
            yield int(name)


def _has(pid: int, mark: bytes) -> bool:
    if (fields := stat_of(pid)) and fields[0] != "Z":
        for kind in ("cmdline", "environ"):
            with suppress(OSError):
                if mark in Path(f"/proc/{pid}/{kind}").read_bytes():
                    return True
    return False


def owner_of(pid: int) -> tuple[int, int] | None:
    """Return the user and group a process runs as, as this host numbers them."""
    with suppress(OSError, KeyError):
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        ids = {line.split()[0]: int(line.split()[1]) for line in lines if line.startswith(("Uid:", "Gid:"))}
        return ids["Uid:"], ids["Gid:"]
    return None


def end_marked(mark: str) -> None:
    """Kill every process with the mark until there is none: one may be starting the other."""
    for _ in range(200):
        if not (found := marked(mark)):
            return
        for pid in found:
            with suppress(OSError):
                opened = os.pidfd_open(pid)
                try:
                    # Looked at again with the descriptor in hand: the number may mean another by now.
                    if _has(pid, mark.encode()):
                        signal.pidfd_send_signal(opened, signal.SIGKILL)
                finally:
                    os.close(opened)


def starting_places(word: str) -> list[str]:
    """Return the host's files that hold `word` and start things by themselves; each is freed of it."""
    found = []
    for place in _STARTING:
        with suppress(OSError):
            found += [str(path) for path in Path(place).iterdir() if _forget(path, word)]
    found += [path for path in _STARTING_FILES if _forget(Path(path), word)]
    return found


def _forget(path: Path, word: str) -> bool:
    """Take the lines with a word out of a file, and the file away if that leaves none."""
    try:
        seen = path.lstat()
        if path.is_symlink() or not path.is_file() or seen.st_size > _MOST_BYTES:
            return False
        text = path.read_text(errors="surrogateescape")
        if word not in text:
            return False
        kept = [line for line in text.splitlines(keepends=True) if word not in line]
        if path.name.startswith(word) or not kept:
            path.unlink()
        else:
            path.write_text("".join(kept), errors="surrogateescape")
    except OSError:
        return False
    return True
