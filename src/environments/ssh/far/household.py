"""Who a user of a host is and what is his on it: processes, files, leftovers in the kernel."""

from __future__ import annotations

import grp
import importlib
import os
import pwd
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Household", "command_of", "stat_fields"]

NEVER_A_HOME = {
    "/",
    "/bin",
    "/boot",
    "/dev",
    "/etc",
    "/home",
    "/lib",
    "/lib64",
    "/media",
    "/mnt",
    "/opt",
    "/root",
}
NEVER_A_HOME |= {"/proc", "/run", "/sbin", "/srv", "/sys", "/tmp", "/usr", "/var", "/var/lib", "/var/tmp"}  # noqa: S108
IN_MEMORY = {"tmpfs", "ramfs", "overlay", "devtmpfs", "mqueue", "hugetlbfs", "zfs", "btrfs"}


class Household:
    """One user. Ids that the host lends him for user namespaces count as his own."""

    def __init__(self, user: str) -> None:
        who = pwd.getpwnam(user)
        self.user, self.uid, self.gid, self.home = user, who.pw_uid, who.pw_gid, os.path.normpath(who.pw_dir)
        self.groups = {g.gr_gid for g in grp.getgrall() if user in g.gr_mem} | {who.pw_gid}
        self.lent = []
        try:
            with open("/etc/subuid") as file:
                for line in file:
                    name, _, span = line.strip().partition(":")
                    if name in (user, str(self.uid)):
                        first, _, many = span.partition(":")
                        self.lent.append(range(int(first), int(first) + int(many)))
        except (OSError, ValueError):
            pass

    def objection(self) -> str:
        """Why this user cannot be cleaned up after, if so."""
        if self.uid == 0:
            return f"{self.user} is root"
        if self.home in NEVER_A_HOME or not os.path.isdir(self.home) or os.path.islink(self.home):
            return f"{self.user} has no home of its own ({self.home})"
        if os.stat(self.home).st_uid != self.uid:
            return f"{self.user} does not own its home {self.home}"
        return ""

    def owns(self, uid: int) -> bool:
        return uid == self.uid or any(uid in span for span in self.lent)

    def processes(self, spared: set[int]) -> list[int]:
        """Living processes that run, or could run again, with an id of his."""
        found = []
        for name in os.listdir("/proc"):
            if not name.isdigit() or int(name) in spared:
                continue
            try:
                with open(f"/proc/{name}/status") as file:
                    fields = dict(line.rstrip("\n").partition(":")[::2] for line in file)
            except OSError:
                continue
            if fields["State"].split()[0] not in "ZX" and any(
                map(self.owns, map(int, fields["Uid"].split()))
            ):
                found.append(int(name))
        return found

    def estate(self) -> list[str]:
        """Topmost paths outside his home that are his, on every local file system that can be written to."""
        inside = self.home + "/"
        return [
            path
            for place in local_places()
            if place != self.home and not place.startswith(inside)
            for path, seen in entries(
                place, lambda path, seen: path != self.home and not self.owns(seen.st_uid)
            )
            if self.owns(seen.st_uid) and path != self.home and not path.startswith("/dev/pts/")
        ]

    def touched(self, since: float) -> list[str]:
        """Files and directories of others that he may write to and that have changed since."""

        def his(seen: os.stat_result) -> bool:
            group = seen.st_mode & stat.S_IWGRP and seen.st_gid in self.groups
            others = bool(group or seen.st_mode & stat.S_IWOTH) and not self.owns(seen.st_uid)
            listed = stat.S_ISDIR(seen.st_mode) and not seen.st_mode & stat.S_ISVTX
            return others and (listed or stat.S_ISREG(seen.st_mode))

        return [
            path
            for place in local_places()
            for path, seen in entries(place, lambda path, _: path != self.home)
            if seen.st_ctime > since and path != self.home and his(seen)
        ]

    def messages(self) -> list[tuple[str, int]]:
        """Kind and id of System V shared memory, semaphores and queues that are his."""
        found = []
        for kind in ("shm", "sem", "msg"):
            try:
                with open("/proc/sysvipc/" + kind) as file:
                    names, *rows = (line.split() for line in file)
            except (OSError, ValueError):
                continue
            for row in rows:
                known = dict(zip(names, row))  # noqa: B905  not before Python 3.10
                if self.owns(int(known["uid"])) or self.owns(int(known["cuid"])):
                    found.append((kind, int(known[kind + "id"])))
        return found

    def forget_messages(self) -> None:
        """Remove System V objects, which outlive processes."""
        for kind, number in self.messages():
            # Not every installation has ctypes, and hardly any machine needs it.
            call = getattr(importlib.import_module("ctypes").CDLL(None), kind + "ctl")
            call(number, 0, 0)


def stat_fields(pid: int) -> list[bytes]:
    """Fields of proc(5) stat from the third on: state, parent, ..."""
    with open(f"/proc/{pid}/stat", "rb") as file:
        return file.read().rpartition(b")")[2].split()


def command_of(pid: int) -> str:
    """A process's command line, as far as it can be read."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


def local_places() -> list[str]:
    """Mount points of this machine's own file systems that can be written to, each file system once."""
    kinds = set(IN_MEMORY)
    with open("/proc/filesystems") as file:
        kinds |= {line.strip() for line in file if not line.startswith("nodev")}
    found: dict[tuple[str, str], str] = {}
    with open("/proc/self/mountinfo") as file:
        for line in file:
            before, _, after = line.partition(" - ")
            device, root, place, options = before.split()[2:6]
            kind, _, of_all = after.split()[:3]
            if kind in kinds and "rw" in options.split(",") and "rw" in of_all.split(","):
                found[device, root] = place.encode().decode("unicode_escape")
    return sorted(path for path in found.values() if os.path.isdir(path))


def entries(place: str, enter: Callable[[str, os.stat_result], bool]) -> Iterator[tuple[str, os.stat_result]]:
    """Everything on the file system at `place`, links not followed; `enter` says where to go in."""
    device = os.lstat(place).st_dev
    left = [place]
    while left:
        directory = left.pop()
        try:
            listed = list(os.scandir(directory))
        except OSError:
            continue
        for entry in listed:
            try:
                seen = entry.stat(follow_symlinks=False)
            except OSError:
                continue
            if seen.st_dev != device:
                continue
            yield entry.path, seen
            if stat.S_ISDIR(seen.st_mode) and enter(entry.path, seen):
                left.append(entry.path)
