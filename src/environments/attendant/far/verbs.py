"""What can be asked of the attendant besides commands: files as their user, and root's looks at the machine.

Each verb is run by a child of its own, so it may wait, change its user and fail as it likes. It takes the
request's payload and fields and returns the answer's fields and payload.
"""

from __future__ import annotations

import contextlib
import errno
import os
import pwd
import signal
import socket
import stat
import struct
import subprocess
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    Answer = tuple[dict[str, Any], bytes]

__all__ = ["VERBS"]

MOST_BYTES = 16 << 20


def become(user: str | None) -> None:
    """Take a user's permissions for files, where we may: links he made then lead no further than he does."""
    if user is None or os.geteuid() != 0:
        return
    who = pwd.getpwnam(user)
    os.initgroups(user, who.pw_gid)
    os.setegid(who.pw_gid)
    os.seteuid(who.pw_uid)


def whole(fd: int, limit: int) -> bytes:
    chunks = []
    while limit > 0:
        chunk = os.read(fd, min(limit, 1 << 20))
        if not chunk:
            break
        chunks.append(chunk)
        limit -= len(chunk)
    return b"".join(chunks)


def read(_: bytes, path: str) -> Answer:
    """A file as its user may read it."""
    fd = os.open(path, os.O_RDONLY)
    if stat.S_ISDIR(os.fstat(fd).st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    data = whole(fd, MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise OSError(errno.EFBIG, f"larger than {MOST_BYTES} bytes")
    return {}, data


def write(payload: bytes, path: str, user: str | None = None, mode: int | None = None) -> Answer:
    """Write a file whole, making its parents; with `mode`, follow no link at its end."""
    become(user)
    put(payload, path, mode)
    return {}, b""


def plant(payload: bytes, path: str, user: str, mode: int) -> Answer:
    """Write a file of a user where he could not; only while no link of his can be in the way."""
    who = pwd.getpwnam(user)
    made = [path]
    while not os.path.exists(made[-1]):
        made.append(os.path.dirname(made[-1]))
    put(payload, path, mode)
    for mine in made[:-1] or [path]:
        os.chown(mine, who.pw_uid, who.pw_gid)
    return {}, b""


def put(payload: bytes, path: str, mode: int | None) -> None:
    os.makedirs(os.path.dirname(path) or "/", exist_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | (os.O_NOFOLLOW | os.O_NONBLOCK if mode is not None else 0)
    fd = os.open(path, flags, 0o666 if mode is None else 0o600)
    view = memoryview(payload)
    while view:
        view = view[os.write(fd, view) :]
    if mode is not None:
        os.fchmod(fd, mode)
    os.close(fd)


def opened(path: str) -> int:
    """Open a file for looking at it, and do not wait for a pipe's other end."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        return os.open(path, flags)
    except PermissionError:  # its owner may have taken it away, and as its owner we can grant it
        mode = stat.S_IMODE(os.lstat(path).st_mode)
        os.chmod(path, 0o400)
        try:
            return os.open(path, flags)
        finally:
            os.chmod(path, mode)


def look(_: bytes, path: str, limit: int) -> Answer:
    """A regular file, whatever its permissions; `found` is false where there is none."""
    try:
        fd = opened(path)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENXIO):
            return {"found": False}, b""
        raise
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        return {"found": False}, b""
    return {"found": True}, whole(fd, limit)


def fact(path: str) -> dict[str, Any]:
    seen = os.lstat(path)
    kinds = ((stat.S_ISREG, "file"), (stat.S_ISDIR, "directory"), (stat.S_ISLNK, "link"))
    kind = next((name for test, name in kinds if test(seen.st_mode)), "other")
    return {
        "path": path,
        "kind": kind,
        "id": [seen.st_dev, seen.st_ino],
        "links": seen.st_nlink,
        "size": seen.st_size,
        "mode": stat.S_IMODE(seen.st_mode),
        "accessed": seen.st_atime,
        "changed": seen.st_ctime,
        "target": os.readlink(path) if kind == "link" else None,
    }


def walk(_: bytes, root: str, most: int) -> Answer:
    """Describe a tree on one file system, links not followed."""
    try:
        facts = [fact(root)]
    except (FileNotFoundError, NotADirectoryError):
        return {"facts": []}, b""
    left = [facts[0]] if facts[0]["kind"] == "directory" else []
    while left and len(facts) < most:
        directory = left.pop()
        try:
            names = sorted(os.listdir(directory["path"]))
        except (PermissionError, FileNotFoundError):
            continue
        for name in names:
            try:
                found = fact(os.path.join(directory["path"], name))
            except FileNotFoundError:
                continue
            facts.append(found)
            if found["kind"] == "directory" and found["id"][0] == facts[0]["id"][0]:
                left.append(found)
    return {"facts": facts[:most]}, b""


def move(_: bytes, source: str, target: str, user: str | None) -> Answer:
    become(user)
    os.makedirs(os.path.dirname(target), exist_ok=True)
    os.rename(source, target)
    return {}, b""


def chmod(_: bytes, path: str, mode: int, user: str | None) -> Answer:
    become(user)
    os.chmod(path, stat.S_IMODE(mode))
    return {}, b""


def launch(_: bytes, argv: list[str], cwd: str, log: str, user: str) -> Answer:
    """Start a service as the machine's user, with nothing of ours but its log."""
    drop = None
    env = {name: value for name, value in os.environ.items() if not name.startswith("SSH_")}
    if os.getuid() == 0:
        who = pwd.getpwnam(user)
        path = "/usr/local/bin:/usr/bin:/bin"
        env = {"HOME": who.pw_dir, "USER": user, "LOGNAME": user, "SHELL": who.pw_shell, "PATH": path}

        def drop() -> None:
            os.initgroups(user, who.pw_gid)
            os.setgid(who.pw_gid)
            os.setuid(who.pw_uid)

    script = 'mkdir -p -- "$(dirname -- "$0")" && exec >>"$0" 2>&1 </dev/null && exec "$@"'
    subprocess.Popen(
        ["sh", "-c", script, log, *argv],
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=drop,  # noqa: PLW1509  the attendant has one thread
    )
    return {}, b""


def field(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def stat_of(pid: int) -> list[bytes]:
    """Fields of proc(5) stat from the third on: state, parent, group, ..."""
    return field(f"/proc/{pid}/stat").rpartition(b")")[2].split()


def mapped(pid: int) -> list[list[int]]:
    found = set()
    for line in field(f"/proc/{pid}/maps").splitlines():
        _, _, _, device, inode = line.split(None, 5)[:5]
        if inode != b"0":
            major, minor = device.split(b":")
            found.add((os.makedev(int(major, 16), int(minor, 16)), int(inode)))
    return [list(pair) for pair in sorted(found)]


def pids() -> list[int]:
    return sorted(int(name) for name in os.listdir("/proc") if name.isdigit())


def described(pid: int, seen: list[bytes]) -> dict[str, Any]:
    entry: dict[str, Any] = {"pid": pid, "started": int(seen[19]), "parent": int(seen[1])}
    entry["state"] = seen[0].decode()
    entry["argv"] = field(f"/proc/{pid}/cmdline").decode(errors="replace").split("\0")[:-1]
    entry["mapped"] = mapped(pid)
    entry["cwd"] = None
    with contextlib.suppress(OSError):
        entry["cwd"] = os.readlink(f"/proc/{pid}/cwd")
    return entry


def processes(_: bytes, without: list[int]) -> Answer:
    """Living processes of the machine: no kernel threads, not us, not the first one."""
    hidden = {1, 2, os.getpid(), os.getppid(), *without}
    found = []
    for pid in pids():
        with contextlib.suppress(OSError):  # ended meanwhile, or not ours to see
            seen = stat_of(pid)
            if pid not in hidden and seen[0] != b"Z" and int(seen[1]) != 2:
                found.append(described(pid, seen))
    return {"processes": found}, b""


def caller(_: bytes, source: int, target: int) -> Answer:
    """Who holds the socket that is connected from one loopback port to another; of several the youngest."""
    found: list[dict[str, Any]] = []
    for row in field("/proc/net/tcp").decode().splitlines()[1:]:
        columns = row.split()
        ends = [end.partition(":") for end in columns[1:3]]
        if [(address_of(address), int(port, 16)) for address, _, port in ends] == [
            ("127.0.0.1", source),
            ("127.0.0.1", target),
        ]:
            for pid in holders().get(int(columns[9]), []):
                with contextlib.suppress(OSError):
                    found.append(described(pid, stat_of(pid)))
    return {"processes": sorted(found, key=lambda each: -int(each["started"]))[:1]}, b""


def address_of(text: str) -> str:
    """Decode an address as the kernel's tables print it: words in the machine's own byte order."""
    raw = bytes.fromhex(text)
    words = struct.unpack(f">{len(raw) // 4}I", raw)
    family = socket.AF_INET if len(words) == 1 else socket.AF_INET6
    return socket.inet_ntop(family, struct.pack(f"={len(words)}I", *words))


def holders() -> dict[int, list[int]]:
    """Inode of each socket -> the processes that hold it."""
    found: dict[int, list[int]] = {}
    for pid in pids():
        try:
            names = os.listdir(f"/proc/{pid}/fd")
        except OSError:
            continue
        for name in names:
            with contextlib.suppress(OSError):
                link = os.readlink(f"/proc/{pid}/fd/{name}")
                if link.startswith("socket:["):
                    held = found.setdefault(int(link[8:-1]), [])
                    if pid not in held:
                        held.append(pid)
    return found


def listeners(_: bytes) -> Answer:
    """TCP sockets in state LISTEN."""
    found: list[dict[str, Any]] = []
    held = holders()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        if not os.path.exists(table):
            continue
        for row in field(table).decode().splitlines()[1:]:
            columns = row.split()
            address, port = columns[1].split(":")
            if columns[3] == "0A":
                pids_of = held.get(int(columns[9]), [])
                found.append({"port": int(port, 16), "address": address_of(address), "pids": pids_of})
    return {"listeners": found}, b""


def dial(payload: bytes, port: int, wait_s: float) -> Answer:
    """Send bytes to a loopback port; `connected` is false where nothing accepts."""
    deadline = time.monotonic() + wait_s
    connected, received = False, b""
    with socket.socket() as connection, contextlib.suppress(OSError):
        connection.settimeout(wait_s)
        connection.connect(("127.0.0.1", port))
        connected = True
        connection.sendall(payload)
        while len(received) < 1 << 20:
            connection.settimeout(max(0.001, deadline - time.monotonic()))
            chunk = connection.recv(1 << 16)
            if not chunk:
                break
            received += chunk
    return {"connected": connected}, received


def send_signal(_: bytes, pid: int, started: int, number: int) -> Answer:
    """Signal one process, and no later one of the same number."""
    try:
        seen = stat_of(pid)
        if int(seen[19]) != started or seen[0] == b"Z":
            return {"sent": False}, b""
        os.kill(pid, signal.Signals(number))
    except (ProcessLookupError, FileNotFoundError):
        return {"sent": False}, b""
    return {"sent": True}, b""


VERBS: Mapping[str, Callable[..., Answer]] = {
    "read": read,
    "write": write,
    "plant": plant,
    "look": look,
    "walk": walk,
    "move": move,
    "chmod": chmod,
    "launch": launch,
    "processes": processes,
    "caller": caller,
    "listeners": listeners,
    "dial": dial,
    "signal": send_signal,
}
