"""Looks at a machine from inside, as the agent, and knocks where redline listens.

It imports only what is compiled into the interpreter or as good as: one start costs milliseconds, and a
module that needs more would double them. Nothing is called but the addresses it is given.
"""

from __future__ import annotations

import _socket
import binascii
import os
import select
import stat
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

__all__ = ["look_around", "written"]

HARMLESS = {"console", "full", "null", "ptmx", "random", "tty", "urandom", "zero"}
IN_PROGRESS = 115
GET_ROUTE, IS_ERROR, DESTINATION = 26, 2, 1
OWN = ("127.", "::1", "0.0.0.0")  # noqa: S104  what resolv.conf may call the machine itself
REJECTED, UNICAST = 0x0200, 1
METADATA = ("169.254.169.254", "fd00:ec2::254")


def text(path: str) -> str:
    try:
        with open(path, errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def interfaces() -> list[str]:
    return sorted(line.partition(":")[0].strip() for line in text("/proc/net/dev").splitlines()[2:])


def routes() -> list[str]:
    """Destinations of the main tables, those on the loopback interface left out."""
    found = set()
    for line in text("/proc/net/route").splitlines()[1:]:
        columns = line.split()
        address = _socket.inet_ntoa(int(columns[1], 16).to_bytes(4, sys.byteorder))
        bits = bin(int(columns[7], 16)).count("1")  # noqa: FURB161  not before Python 3.10
        found.add(f"{address}/{bits}")
    for line in text("/proc/net/ipv6_route").splitlines():
        columns = line.split()
        if columns[9] != "lo" and not int(columns[8], 16) & REJECTED:
            address = _socket.inet_ntop(_socket.AF_INET6, bytes.fromhex(columns[0]))
            found.add(f"{address}/{int(columns[1], 16)}")
    return sorted(found)


def number(value: int, size: int) -> bytes:
    return value.to_bytes(size, sys.byteorder)


def routed(address: str) -> bool:
    """Ask the kernel whether it knows a way to an address. Nothing is sent anywhere."""
    family = _socket.AF_INET6 if ":" in address else _socket.AF_INET
    raw = _socket.inet_pton(family, address)
    body = bytes([family, len(raw) * 8]) + bytes(10) + number(len(raw) + 4, 2) + number(DESTINATION, 2) + raw
    head = number(len(body) + 16, 4) + number(GET_ROUTE, 2) + number(1, 2) + number(1, 4) + number(0, 4)
    try:
        kernel = _socket.socket(_socket.AF_NETLINK, _socket.SOCK_RAW, 0)
        kernel.settimeout(1.0)
        kernel.send(head + body)
        answer = kernel.recv(4096)
        kernel.close()
    except OSError:
        return False
    return int.from_bytes(answer[4:6], sys.byteorder) != IS_ERROR and answer[16 + 7] == UNICAST


def knock(doors: list[list[Any]], wait_s: float) -> None:
    """Say the word at every door at once. Whoever listens there notes it."""
    waiting = {}
    for kind, address, port, word in doors:
        family = _socket.AF_INET6 if ":" in address else _socket.AF_INET
        try:
            caller = _socket.socket(family, _socket.SOCK_STREAM if kind == "TCP" else _socket.SOCK_DGRAM)
            caller.setblocking(False)
            failed = caller.connect_ex((address, port))
            if kind == "UDP" and not failed:
                caller.send(word.encode())
            if failed == IN_PROGRESS or not failed:
                waiting[caller.fileno()] = (caller, "" if kind == "UDP" else word)
        except OSError:
            continue
    speak(waiting, time.monotonic() + wait_s)


def speak(waiting: dict[int, tuple[Any, str]], deadline: float) -> None:
    """Say the word where a connection comes about, and wait for every answer."""
    poll = select.poll()
    for fd, (_, word) in waiting.items():
        poll.register(fd, select.POLLOUT if word else select.POLLIN)
    while waiting and time.monotonic() < deadline:
        for fd, event in poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
            caller, word = waiting[fd]
            try:
                if event & select.POLLOUT and word:
                    caller.send(word.encode())
                    waiting[fd] = (caller, "")
                    poll.modify(fd, select.POLLIN)
                    continue
                caller.recv(64)
            except OSError:
                pass
            poll.unregister(fd)
            del waiting[fd]


def resolvers() -> list[str]:
    """Name servers of the system that are not on the machine itself; those behind a local stub too."""
    found = set()
    for path in ("/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"):
        for line in text(path).splitlines():
            words = line.split()
            if words[:1] == ["nameserver"] and not (words[1:] or ["127."])[0].startswith(OWN):
                found.add(words[1])
    return sorted(found)


def looked_up(name: str, wait_s: float) -> str:
    """What libc says to a name that nobody has: an address, that there is none, or that nobody tells."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        said = b"nobody"
        try:
            _socket.getaddrinfo(name.encode(), None)
            said = b"address"
        except _socket.gaierror as error:
            said = b"no such name" if error.args[0] == _socket.EAI_NONAME else b"nobody"
        except OSError:
            pass
        os.write(write, said)
        os._exit(0)
    os.close(write)
    poll = select.poll()
    poll.register(read, select.POLLIN)
    answer = os.read(read, 64).decode() if poll.poll(wait_s * 1000) else "nobody"
    os.close(read)
    os.kill(child, 9)
    os.waitpid(child, 0)
    return answer


def resolves(name: str, wait_s: float, *, alone: bool) -> str:
    """Whether anybody answers for names. A server on the machine itself counts only before anybody came."""
    others = resolvers()
    if not others and not alone:
        return "no answer"
    said = looked_up(name, wait_s)
    if said == "address" or (others and said == "no such name"):
        return "answered"
    return "no answer"


def sockets(paths: list[str], known: list[list[int]] | None) -> list[str]:
    """Those control sockets that are the host's own, or, where none is known, that can be talked to."""
    found = []
    for path in paths:
        try:
            seen = os.stat(path)
        except OSError:
            continue
        if known is None:
            if stat.S_ISSOCK(seen.st_mode) and os.access(path, os.W_OK):
                found.append(path)
        elif [seen.st_dev, seen.st_ino] in known:
            found.append(path)
    return found


def mounts() -> list[list[str]]:
    """Kind and place of every mount, as far as it is no device's."""
    found = []
    for line in text("/proc/self/mountinfo").splitlines():
        before, _, after = line.partition(" - ")
        root, place = before.split()[3:5]
        if not (place.startswith("/dev/") and root != "/" and stat.S_ISCHR(mode_of(place))):
            found.append([after.split()[0], place])
    return sorted(found)


def mode_of(path: str) -> int:
    try:
        return os.lstat(path).st_mode
    except OSError:
        return 0


def devices() -> list[str]:
    """Devices that can be opened, but the harmless ones and terminals."""
    found = []
    for place in ("/dev", "/dev/virtio-ports", "/dev/net", "/dev/dri", "/dev/snd", "/dev/vfio", "/dev/input"):
        try:
            names = os.listdir(place)
        except OSError:
            continue
        for name in names:
            path = place + "/" + name
            mode = mode_of(path)
            if not (stat.S_ISCHR(mode) or stat.S_ISBLK(mode)) or (place == "/dev" and name in HARMLESS):
                continue
            if os.access(path, os.R_OK) or os.access(path, os.W_OK):
                found.append(path)
    return sorted(found)


def groups() -> list[str]:
    """Control groups that can be changed."""
    found = []
    for kind, place in mounts():
        if kind.startswith("cgroup"):
            own = {place + line.split(":", 2)[2] for line in text("/proc/self/cgroup").splitlines()}
            found += [path for path in {place} | own if os.access(path, os.W_OK)]
    return sorted(found)


def seen_processes(marks: list[list[int]]) -> list[str]:
    """Processes of the host's: when they began, and length and checksum of their command lines, tell them."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open("/proc/" + name + "/cmdline", "rb") as file:
                    line = file.read()
                with open("/proc/" + name + "/stat", "rb") as file:
                    began = int(file.read().rpartition(b")")[2].split()[19])
            except (OSError, IndexError):
                continue
            if [began, len(line), binascii.crc32(line)] in marks:
                found.append(name)
    return found


def nests() -> str:
    """Whether a further user namespace can be made: tried by a program of its own, which then ends."""
    child = os.fork()
    if child == 0:
        nothing = os.open("/dev/null", os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(nothing, fd)
        for place in ("/usr/bin/unshare", "/bin/unshare", "/usr/sbin/unshare"):
            try:  # looking along PATH would import what takes longer to load than all of this
                os.execv(place, ["unshare", "--user", "true"])  # noqa: S606  no shell is wanted
            except OSError:
                continue
        os._exit(127)
    status = os.waitpid(child, 0)[1]
    if os.WIFEXITED(status) and os.WEXITSTATUS(status) == 127:
        return "could not be tried"
    return "possible" if status == 0 else "refused"


def privileges() -> dict[str, str]:
    fields = dict(line.partition(":")[::2] for line in text("/proc/self/status").splitlines())
    held = [name for name in ("CapInh", "CapPrm", "CapEff", "CapAmb") if int(fields[name], 16)]
    return {
        "capabilities": ", ".join(held) or "none",
        "new_privileges": "refused" if fields["NoNewPrivs"].strip() == "1" else "possible",
        "user": " ".join([str(os.getuid()), *map(str, sorted(set(os.getgroups()) | {os.getgid()}))]),
    }


def look_around(
    *,
    doors: list[list[Any]],
    name: str,
    wait_s: float,
    paths: list[str],
    known: list[list[int]] | None,
    marks: list[list[int]],
    alone: bool,
) -> Mapping[str, Any]:
    """Look at everything once.

    Args:
        doors: protocol, address, port and word of each place to knock at.
        name: to look up; nobody has it.
        wait_s: how long an answer may take.
        paths: of control sockets of hosts.
        known: device and inode of those that the host has; None on a host that is examined by itself.
        marks: start, length and checksum of the command line of processes of the host's.
        alone: nobody was let in yet.
    """
    knock(doors, wait_s)
    return {
        **privileges(),
        "interfaces": interfaces(),
        "routes": routes(),
        "metadata": [address for address in METADATA if routed(address)],
        "names": resolves(name, 3 * wait_s, alone=alone),
        "sockets": sockets(paths, known),
        "mounts": mounts(),
        "devices": devices(),
        "groups": groups(),
        "processes": seen_processes(marks),
        "nests": nests() if alone else "",
    }


def written(value: object) -> str:
    """Return a value as JSON; the module for it takes longer to load than all of this."""
    if isinstance(value, str):
        return '"' + "".join(map(character, value)) + '"'
    if isinstance(value, dict):
        return "{" + ",".join(written(str(key)) + ":" + written(each) for key, each in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(map(written, value)) + "]"
    return "true" if value is True else "false" if value is False else str(value)


def character(each: str) -> str:
    plain = " " <= each <= "~" and each not in '"\\'
    return each if plain else f"\\u{min(ord(each), 0xFFFD):04x}"
