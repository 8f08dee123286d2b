"""Sees that a user has a host to himself, keeps what is his, and puts everything back at the end."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import signal
import stat
import sys
import tarfile
import time

from environments.ssh.far.household import Household, command_of, stat_fields

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, BinaryIO

__all__ = ["ERRANDS", "Keep", "clean", "end"]

KEPT = "/var/lib/redline"
ENDING_S = 15.0
SETTLING_S = 3.0


class Keep:
    """Where root keeps what is the user's: a directory that nobody else can enter."""

    def __init__(self, user: str) -> None:
        self.folder = os.path.join(KEPT, user)
        self.archive = os.path.join(self.folder, "kept.tar")
        self.note = os.path.join(self.folder, "owner.json")
        self.renewed = os.path.join(self.folder, "lease")

    def owner(self) -> Mapping[str, Any]:
        """The run that has the user: its word, its connection's process, and since when."""
        try:
            with open(self.note) as file:
                return dict(json.load(file))
        except (OSError, ValueError):
            return {"word": "", "pid": 0, "started": "", "since": time.time()}

    def lease(self) -> bytes:
        """What the lease was last renewed with."""
        try:
            with open(self.renewed, "rb") as file:
                return file.read(64)
        except OSError:
            return b""

    def owner_lives(self) -> bool:
        """Whether the connection that made it is still there."""
        owner = self.owner()
        try:
            return bool(stat_fields(owner["pid"])[19].decode() == owner["started"])
        except OSError:
            return False

    def take(self, word: str) -> None:
        os.makedirs(KEPT, mode=0o700, exist_ok=True)
        os.mkdir(self.folder, 0o700)
        parent = os.getppid()
        owner = {
            "word": word,
            "pid": parent,
            "started": stat_fields(parent)[19].decode(),
            "since": time.time(),
        }
        with open(self.note, "w") as file:
            json.dump(owner, file)

    def let_go(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        with contextlib.suppress(OSError):  # another user's may be there
            os.rmdir(KEPT)


def ancestors() -> set[int]:
    """This process and those it stems from: ours, whoever they run as."""
    found, pid = set(), os.getpid()
    while pid > 0:
        found.add(pid)
        pid = int(stat_fields(pid)[1])
    return found


def running(house: Household, *, but_logins: bool) -> list[int]:
    """Processes of the user, but not our own way in, nor, if asked, what a login starts by itself."""
    spared = ancestors() if os.geteuid() != 0 else set()
    found = house.processes(spared)
    if but_logins or spared:
        found = [pid for pid in found if not command_of(pid).endswith(("systemd --user", "(sd-pam)"))]
    return found


def named(pids: list[int]) -> list[str]:
    return [f"process {pid} ({command_of(pid)[:60]})" for pid in pids]


def end(house: Household) -> None:
    """End every process of the user, for as long as that takes but not for ever."""
    deadline = time.monotonic() + ENDING_S
    while time.monotonic() < deadline:
        left = running(house, but_logins=False)
        if not left:
            return
        if os.geteuid() == 0:
            # One call ends them all, faster than they can fork. As the saved id, root stays within reach.
            os.setresuid(house.uid, house.uid, 0)
            try:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(-1, signal.SIGKILL)
            finally:
                os.setresuid(0, 0, 0)
        for pid in left:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)


def archive(house: Household, target: BinaryIO, most: int) -> None:
    """Write what is the user's as a tar file."""
    size = 0

    def measured(member: tarfile.TarInfo) -> tarfile.TarInfo:
        nonlocal size
        size += member.size
        if size > most:
            raise OSError(f"{house.user} owns more than {most >> 20} MiB on the host, which has to be kept")
        return member

    with tarfile.open(fileobj=target, mode="w|", format=tarfile.PAX_FORMAT) as tar:
        for path in [house.home, *house.estate()]:
            tar.add(path, filter=measured)


def restore(house: Household, source: BinaryIO) -> list[str]:
    """Put back what an archive holds, and return what differs from it then."""
    held: dict[str, tarfile.TarInfo] = {}
    with tarfile.open(fileobj=source, mode="r|") as tar:
        tar.extraction_filter = lambda member, _: member  # our own archive
        for member in tar:
            place = os.path.normpath("/" + member.name)
            held[place] = member
            if place == house.home:
                os.chmod(place, member.mode)
            else:
                with contextlib.suppress(OSError):  # seen below
                    tar.extract(member, "/", numeric_owner=os.geteuid() == 0)
    found = set(everything(house))
    new = [f"{path} (new)" for path in sorted(found - set(held))]
    return new + [f"{path} (changed)" for path, member in held.items() if not same(path, member)]


def everything(house: Household) -> list[str]:
    found = []
    for path in [house.home, *house.estate()]:
        found.append(path)
        for folder, folders, files in os.walk(path):
            found += [os.path.join(folder, name) for name in folders + files]
    return found


def same(path: str, member: tarfile.TarInfo) -> bool:
    try:
        seen = os.lstat(path)
    except OSError:
        return False
    if member.issym():
        return stat.S_ISLNK(seen.st_mode)
    sized = not member.isreg() or seen.st_size == member.size
    return sized and stat.S_IMODE(seen.st_mode) == member.mode and stat.S_IFMT(seen.st_mode) != stat.S_IFLNK


def remove(path: str) -> None:
    """Remove whatever is there, as far as that can be done."""
    with contextlib.suppress(OSError):
        if os.path.islink(path) or not os.path.isdir(path):
            os.unlink(path)
            return
        os.chmod(path, 0o700)
        for folder, folders, _ in os.walk(path):
            for name in folders:
                if not os.path.islink(os.path.join(folder, name)):
                    os.chmod(os.path.join(folder, name), 0o700)
    shutil.rmtree(path, ignore_errors=True)


def empty(house: Household) -> None:
    """Remove everything that is the user's, inside his home and outside."""
    os.chmod(house.home, 0o700)
    for name in os.listdir(house.home):
        remove(os.path.join(house.home, name))
    for path in [*house.estate(), os.path.join("/var/lib/systemd/linger", house.user)]:
        remove(path)


def put_back(house: Household, source: BinaryIO | None) -> list[str]:
    """Make the host as it was, and look again: what is returned is still there, or not as it was."""
    if house.objection():
        raise OSError(house.objection())
    end(house)
    house.forget_messages()
    left: list[str] = []
    if source is not None:
        empty(house)
        left += restore(house, source)
    left += named(running(house, but_logins=False))
    return left + [f"System V {kind} {number}" for kind, number in house.messages()]


def clean(user: str, word: str, **_: Any) -> Mapping[str, Any]:
    """Put back what root keeps, if the run with this word has it kept."""
    house, keep = Household(user), Keep(user)
    owner = keep.owner()
    if owner["word"] != word:  # nothing was kept yet, and nobody let in
        return {"left": []}
    left: list[str] = []
    if not os.path.exists(keep.archive):
        left = put_back(house, None)
    else:
        with open(keep.archive, "rb") as source:
            left = put_back(house, source)
        left += [f"{path} (written to)" for path in house.touched(owner["since"])]
    if not left:
        keep.let_go()
    return {"left": left}


def survey(user: str, **_: Any) -> Mapping[str, Any]:
    """Say whether the user can be had, and put right what a run that died left behind."""
    house, keep = Household(user), Keep(user)
    if house.objection():
        return {"objection": house.objection()}
    root = os.geteuid() == 0
    if root and keep.owner_lives():
        return {"objection": f"another run has {user} at present"}
    deadline = time.monotonic() + SETTLING_S
    while running(house, but_logins=True) and time.monotonic() < deadline:
        time.sleep(0.05)  # a connection that was just closed takes a moment
    found = named(running(house, but_logins=True))
    left: list[str] = []
    if root and not found and os.path.exists(keep.folder):
        left = list(clean(user, keep.owner()["word"])["left"])
    return {"uid": house.uid, "home": house.home, "running": found, "left": left, "root": root}


def keep(user: str, most: int, word: str, **_: Any) -> Mapping[str, Any]:
    """Keep what is the user's where only root reads it."""
    house, place = Household(user), Keep(user)
    place.take(word)
    with open(place.archive + ".part", "wb") as target:
        archive(house, target, most)
    os.rename(place.archive + ".part", place.archive)
    return {}


def pack(user: str, most: int, **_: Any) -> tuple[Mapping[str, Any], bytes]:
    """Hand over what is the user's, to be kept elsewhere."""
    target = io.BytesIO()
    archive(Household(user), target, most)
    return {}, target.getvalue()


def unpack(user: str, size: int, **_: Any) -> Mapping[str, Any]:
    """Put back what was handed over; it follows on standard input."""
    return {"left": put_back(Household(user), io.BytesIO(sys.stdin.buffer.read(size)))}


ERRANDS: Mapping[str, Callable[..., Any]] = {
    "survey": survey,
    "keep": keep,
    "clean": clean,
    "pack": pack,
    "unpack": unpack,
}
