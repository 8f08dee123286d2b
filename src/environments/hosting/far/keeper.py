"""Keeps one program: starts it, passes on what it prints, and leaves nothing of it behind.

It is told what to start over its standard input, where nobody sees it. The program and all that it starts
have this process above them, however they leave their parents: orphans become children of this process. They
are ended when the program has ended, when this process is told to end them, when its input ends because
whoever started it or the connection is gone, or when nothing has been heard for too long.

It says frames: a letter, a big-endian 32-bit length, and so many bytes.

    s  the program was started
    f  it could not be: the status a shell would give, and why
    o  standard output
    e  standard error
    x  it has ended: its exit status, and what could not be ended

It hears letters: `.` is a sign of life, `q` ends the program.
"""

from __future__ import annotations

import contextlib
import errno
import importlib
import json
import os
import select
import signal
import struct
import subprocess
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["MAGIC", "Keeper", "main"]

MAGIC = b"\0redline keeper\0"
"""First thing said, so that what a login shell prints before can be passed over."""
HEAD = struct.Struct(">cI")
MOST_WAITING = 1 << 20
ENDING_S = 10.0
LAST_WORDS_S = 5.0
PAUSE_S = 0.05
DIE_WITH_PARENT, ADOPT_ORPHANS = 1, 36


class Keeper:
    """Between redline and one program.

    Args:
        order: what to start, as `argv`, with which `environ` besides its own, for how many seconds it
            may go on after SIGTERM, as `grace_s`, and how long the input may be silent, as `patience_s`.
    """

    def __init__(self, order: dict[str, Any]) -> None:
        self.order = order
        self.outgoing = bytearray(MAGIC)
        self.pipes: dict[int, bytes] = {}
        self.pid = 0
        self.status: int | None = None
        self.told = False
        self.deaf = False
        self.heard = time.monotonic()
        os.set_blocking(0, False)
        os.set_blocking(1, False)
        self.wakeup, wake = os.pipe()
        for fd in (self.wakeup, wake):
            os.set_blocking(fd, False)
        signal.set_wakeup_fd(wake)
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self.stop)

    def stop(self, *_: object) -> None:
        self.told = True

    def say(self, kind: bytes, text: bytes) -> None:
        self.outgoing += HEAD.pack(kind, len(text)) + text

    def start(self) -> bool:
        """Start the program; False where that cannot be done."""
        prctl = process_control()
        prctl(ADOPT_ORPHANS, 1, 0, 0, 0)
        pipes = [os.pipe(), os.pipe()]
        try:
            process = subprocess.Popen(
                self.order["argv"],
                stdin=subprocess.DEVNULL,
                stdout=pipes[0][1],
                stderr=pipes[1][1],
                env={**os.environ, **self.order["environ"]},
                start_new_session=True,
                preexec_fn=lambda: prctl(DIE_WITH_PARENT, signal.SIGKILL, 0, 0, 0),  # noqa: PLW1509  one thread
            )
        except OSError as error:
            status = 127 if error.errno == errno.ENOENT else 126
            self.say(b"f", json.dumps([status, error.strerror]).encode())
            return False
        finally:
            for _, end in pipes:
                os.close(end)
        self.pipes = {pipes[0][0]: b"o", pipes[1][0]: b"e"}
        for end in self.pipes:
            os.set_blocking(end, False)
        self.pid = process.pid
        process.returncode = 0  # it is waited for here, not there
        self.say(b"s", b"")
        return True

    def turn(self, wait_s: float) -> None:
        """Wait for something and deal with it."""
        reading = [self.wakeup]
        if not self.deaf:
            reading.append(0)
        if len(self.outgoing) < MOST_WAITING:
            reading += self.pipes
        ready, writable, _ = select.select(reading, [1] if self.outgoing else [], [], wait_s)
        if self.wakeup in ready:
            os.read(self.wakeup, 512)
        if 0 in ready:
            self.hear()
        for fd in [fd for fd in ready if fd in self.pipes]:
            self.pass_on(fd)
        if writable:
            self.write()
        self.reap()

    def hear(self) -> None:
        data = taken(0)
        if data is None:
            return
        self.heard = time.monotonic()
        if not data or b"q" in data:
            self.deaf, self.told = not data, True

    def pass_on(self, fd: int) -> None:
        data = taken(fd)
        if data is None:
            return
        if data:
            self.say(self.pipes[fd], data)
        else:
            del self.pipes[fd]
            os.close(fd)

    def write(self) -> None:
        try:
            del self.outgoing[: os.write(1, self.outgoing)]
        except BlockingIOError:
            return
        except OSError:  # nobody is there any more
            self.deaf = self.told = True
            self.outgoing.clear()

    def reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self.pid:
                self.status = 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)

    def keep(self) -> None:
        """Pass on what the program says, until it has ended or is to end."""
        patience_s = self.order["patience_s"]
        while self.status is None and not self.told:
            self.turn(patience_s / 4 if patience_s else 3600.0)
            if patience_s and time.monotonic() - self.heard > patience_s:
                return

    def end(self) -> list[str]:
        """End the program and all that it has started; returns what could not be ended.

        First its process group is asked to end, and once it has ended itself, whatever it left behind.
        """
        if self.status is None:
            send(signal.SIGTERM, [-self.pid])
        asked: set[int] = set()
        deadline = time.monotonic() + self.order["grace_s"]
        while (left := self.left()) and time.monotonic() < deadline:
            if self.status is not None:
                send(signal.SIGTERM, sorted(set(left) - asked))
                asked.update(left)
            self.turn(PAUSE_S)
        deadline = time.monotonic() + ENDING_S
        while (left := self.left()) and time.monotonic() < deadline:
            send(signal.SIGKILL, left)
            self.turn(PAUSE_S)
        return [f"process {pid} ({name_of(pid)})" for pid in left]

    def left(self) -> list[int]:
        """Return what still runs; the program's status is known once it is not among it."""
        found = descendants(self.pid)
        self.reap()
        return found

    def farewell(self, left: list[str]) -> None:
        """Say what is still to be said, to whoever still listens."""
        for fd in list(self.pipes):
            while fd in self.pipes and (data := taken(fd)):
                self.say(self.pipes[fd], data)
        if self.pid:
            status = 128 + signal.SIGKILL if self.status is None else self.status
            self.say(b"x", json.dumps([status, left]).encode())
        deadline = time.monotonic() + LAST_WORDS_S
        while self.outgoing and time.monotonic() < deadline:
            select.select([], [1], [], LAST_WORDS_S)
            self.write()


def process_control() -> Callable[..., Any]:
    """Return prctl(2); without it, what leaves both its session and its parents would not be seen."""
    try:
        prctl: Callable[..., Any] = importlib.import_module("ctypes").CDLL(None).prctl
    except ImportError:  # a few distributions take it out of their smallest Python
        return lambda *_: 0
    return prctl


def send(number: int, pids: list[int]) -> None:
    for pid in pids:
        with contextlib.suppress(OSError):  # it is gone, or another user's
            os.kill(pid, number)


def taken(fd: int) -> bytes | None:
    """Return what can be read; None where there is nothing yet."""
    try:
        return os.read(fd, 1 << 16)
    except BlockingIOError:
        return None
    except OSError:
        return b""


def descendants(session: int) -> list[int]:
    """Every living process below this one, or of the program's session."""
    living: dict[int, tuple[int, int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    state, parent, _, of = file.read().rpartition(b")")[2].split()[:4]
            except OSError:
                continue
            if state not in (b"Z", b"X"):
                living[int(name)] = int(parent), int(of)
    ours = {os.getpid()}
    while more := {pid for pid, (parent, of) in living.items() if parent in ours or of == session} - ours:
        ours |= more
    return sorted(ours - {os.getpid()})


def name_of(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/comm") as file:
            return file.read().strip()
    except OSError:
        return "gone"


def main(order: dict[str, Any]) -> None:
    """Keep one program from its start until nothing is left of it."""
    keeper = Keeper(order)
    left: list[str] = []
    if keeper.start():
        keeper.keep()
        left = keeper.end()
    keeper.farewell(left)
