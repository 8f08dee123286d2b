"""The runner's side of its warden: what it says, and what it hears."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import socket
import subprocess
import sys
import time
import weakref
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from environments.errors import Halted, Unavailable
from environments.processes import service
from environments.warden.held import ANSWER_S, Held
from environments.warden.program.ending import SETTLING_S
from environments.warden.program.keeper import LARGEST
from environments.warden.registry import directory

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["LEASE_S", "Census", "Warden"]

LEASE_S = 10.0
"""How long a runner may be silent before its machines are ended."""
_LEAST_S, _MOST_S = 1.0, 60.0
_BEATS = 5
"""In the time of a lease."""
_READY_S = 20.0
# Makes modules of its files by the names they know one another by: nothing else of ours is loaded.
_LOADER = """
import sys, types
folder, lease_s, cards, runner = sys.argv[1:]
for part in ("ending", "card", "keeper"):
    name = "environments.warden.program." + part
    module = sys.modules[name] = types.ModuleType(name)
    exec(compile(open(f"{folder}/{part}.py").read(), name, "exec"), module.__dict__)
module.main(float(lease_s), cards, int(runner))
"""


def _length() -> float:
    """Return how long a lease is: 10 s, or what REDLINE_LEASE_S says between 1 and 60."""
    try:
        asked = float(os.environ.get("REDLINE_LEASE_S", LEASE_S))
    except ValueError:
        asked = LEASE_S
    return min(_MOST_S, max(_LEAST_S, asked))


@dataclass(frozen=True, kw_only=True)
class Census:
    """What the warden finds when it looks once more for all machines it ever held."""

    machines: int
    left: tuple[str, ...]


class Warden:
    """One warden, as its runner holds it."""

    def __init__(self) -> None:
        self.lease_s = _length()
        self.halted: str | None = None
        """Why every machine was ended, once that has happened. Final."""
        self.pids: tuple[int, ...] = ()
        """Of the warden and its heir."""
        self.held: dict[str, Held] = {}
        self._loop = weakref.ref(asyncio.get_running_loop())
        self._channel, self._process = _started(self.lease_s)
        self._answered = time.monotonic()
        self._beating: asyncio.TimerHandle | None = None
        self._studies = 0
        self._gone = False
        # No future is kept for longer than somebody waits for it: it would keep the loop, and the loop us.
        self._waiting: set[asyncio.Future[None]] = set()
        self._counting: asyncio.Future[dict[str, Any]] | None = None
        weakref.finalize(asyncio.get_running_loop(), _dismiss, self._channel, self._process)
        self._hear_ready()
        asyncio.get_running_loop().add_reader(self._channel.fileno(), self._readable)

    def _hear_ready(self) -> None:
        self._channel.settimeout(_READY_S)
        try:
            said = json.loads(self._channel.recv(LARGEST) or b"{}")
        except TimeoutError:
            said = {}
        if "ready" not in said:
            raise Unavailable("the warden did not start", mend="`redline doctor` examines each part")
        self.pids = tuple(said["ready"])
        self._channel.setblocking(False)

    @property
    def usable(self) -> bool:
        """Whether it is there, by all that it has said."""
        self._readable()
        return not self._gone

    def hold(
        self, label: str, *, lifetime_s: float, folders: Sequence[Path] = (), groups: Sequence[Path] = ()
    ) -> Held:
        """Have a machine held from now on; its parts are added as they come to be.

        Args:
            label: names it in messages.
            lifetime_s: after which it is ended, whatever is done on it.
            folders: of the host that will be the machine's alone, as far as they are known already.
            groups: control groups, likewise.

        Raises:
            Halted: every machine was ended, and none is to begin.
        """
        self.require()
        if not self.held:  # until now there was nothing to answer for
            self._answered = time.monotonic()
        held = Held(warden=self, lease=secrets.token_hex(8), label=label)
        parts = {"folders": [str(each) for each in folders], "groups": [str(each) for each in groups]}
        self.say({"do": "hold", "lease": held.lease, "label": label, "lifetime_s": lifetime_s, **parts})
        self.held[held.lease] = held
        self._beat()
        return held

    def own(self, folder: Path) -> None:
        """Have a folder removed when the runner is gone, however it goes.

        Raises:
            Halted: it cannot be told.
        """
        self.say({"do": "own", "folder": str(folder)})

    def study(self, folder: Path, *, present: bool) -> None:
        """Let the warden be found by the folder of a study; until it is not worked on any more."""
        self._studies += 1 if present else -1
        with suppress(Halted):
            self.say({"do": "study", "folder": str(folder.resolve()), "present": present})
        self._beat()

    def fault(self) -> str | None:
        """Say why nothing may be done any more; None while the lease stands."""
        if self.halted is not None:
            return self.halted
        late = time.monotonic() - self._answered
        if self.held and late > self.lease_s:
            return f"the lease has lapsed: the warden has not answered for {late:.0f} s"
        return None

    def require(self) -> None:
        """See that the lease stands.

        Raises:
            Halted: it does not.
        """
        if (reason := self.fault()) is not None:
            raise Halted(reason)

    def say(self, message: dict[str, Any], descriptors: Sequence[int] = ()) -> None:
        """Tell the warden something.

        Raises:
            Halted: it cannot be told.
        """
        try:
            socket.send_fds(self._channel, [json.dumps(message).encode()], descriptors)
        except OSError as error:
            self._readable()  # its last word may say more
            self._lose(f"the warden takes no word any more ({error.strerror})")
            raise Halted(self.halted or "the warden is gone") from error

    def _beat(self) -> None:
        """Renew the lease, now and for as long as there is something to hold."""
        if self._beating is not None:
            self._beating.cancel()
            self._beating = None
        loop = self._loop()
        if loop is None or loop.is_closed() or self._gone or self.halted is not None:
            return
        if (reason := self.fault()) is not None:
            self._lose(reason)
            return
        if self.held or self._studies:
            with suppress(Halted):
                self.say({"do": "beat", "beat": 1})
                self._beating = loop.call_later(self.lease_s / _BEATS, self._beat)

    def _readable(self) -> None:
        while not self._gone:
            try:
                data = self._channel.recv(LARGEST)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                self._left()
                return
            self._answered = time.monotonic()
            self._heed(json.loads(data))

    def _heed(self, said: dict[str, Any]) -> None:
        if "released" in said:
            self._settle(said["released"], said["left"])
        elif "idle" in said:
            self._dismiss_if_idle()
        elif "census" in said:
            if self._counting is not None and not self._counting.done():
                self._counting.set_result(said["census"])
        elif "lapsed" in said:
            held = self.held.get(said["lapsed"])
            if held is not None:
                held.lapsed = True
        elif "ended" in said:
            left = f"; left: {', '.join(said['left'])}" if said["left"] else ""
            ended = f"ended {said['machines']} machines in {said['took_s']:.2f} s"
            self._lose(f"the warden {ended}: {said['ended']}{left}")

    def _dismiss_if_idle(self) -> None:
        """Let the warden go when it has nothing to hold; the next machine gets another one."""
        if not self.held and not self._studies and self._counting is None:
            with suppress(OSError):  # it did not wait for it
                self._channel.send(json.dumps({"do": "bye"}).encode())
            self._left()

    def _settle(self, lease: str, left: list[str]) -> None:
        held = self.held.pop(lease, None)
        if held is not None and not held.released.done():
            held.released.set_result(left)
        if not self.held:
            self._answered = time.monotonic()

    def _left(self) -> None:
        """Note that the warden is gone: quietly where it held nothing."""
        self._gone = True
        if (loop := self._loop()) is not None and not loop.is_closed():
            loop.remove_reader(self._channel.fileno())
        self._channel.close()
        self._process.poll()
        if self.held:
            self._lose("the warden is gone, and every machine ends with it")

    def _lose(self, reason: str) -> None:
        """End everything from this side too: whoever holds the machines does it or cannot."""
        if self.halted is not None:
            return
        self.halted = reason
        for held in list(self.held.values()):
            held.kill()
            if not held.released.done():
                held.released.set_result([])
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_result(None)
        if self._counting is not None and not self._counting.done():
            self._counting.set_exception(Halted(reason))

    async def census(self) -> Census:
        """Have it look for whatever is left of the machines it held.

        Raises:
            Halted: it does not answer.
        """
        self.require()
        self._counting = asyncio.get_running_loop().create_future()
        try:
            self.say({"do": "census"})
            async with asyncio.timeout(ANSWER_S):
                said = await self._counting
        except TimeoutError:
            raise Halted("the warden does not say whether anything is left") from None
        finally:
            self._counting = None
        return Census(machines=said["machines"], left=tuple(said["left"]))

    async def until_halted(self) -> str:
        """Wait until every machine was ended, and return why."""
        if self.halted is None:
            waiting = asyncio.get_running_loop().create_future()
            self._waiting.add(waiting)
            try:
                await waiting
            finally:
                self._waiting.discard(waiting)
        assert self.halted is not None
        return self.halted


def _started(lease: float) -> tuple[socket.socket, subprocess.Popen[bytes]]:
    """Start a warden; return our end of the way to it, and its process."""
    argv = [sys.executable, "-I", "-S", "-c", _LOADER, str(Path(__file__).with_name("program")), f"{lease}"]
    argv += [str(directory()), str(os.getpid())]
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        with theirs:
            return ours, service(argv, stdin=theirs.fileno())
    except BaseException:
        ours.close()
        raise


def _dismiss(channel: socket.socket, process: subprocess.Popen[bytes]) -> None:
    """Let the warden go with its loop; it ends whatever is still held."""
    channel.close()
    with suppress(subprocess.TimeoutExpired):
        process.wait(timeout=2 * SETTLING_S)
