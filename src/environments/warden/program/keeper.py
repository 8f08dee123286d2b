"""The warden: a small process that holds one runner's machines, and ends them when the runner no longer can.

It has no door: what reaches it comes over the descriptor it was born with, or is a signal of the host's own
users. It is two processes, of which each ends everything when the other one is gone: the warden proper hears
the runner, and its heir hears all of it again from the warden.

    runner ── hold, add, beat, release ──> warden ── the same ──> heir

Messages are JSON objects, one a packet, with descriptors beside them:

    hold     lease, label, lifetime_s, groups, folders
    add      lease, processes, groups, folders, commands; beside it pidfds, then descriptors of namespaces
    release  lease                                    answered by: released, left
    own      folder: it goes with the warden
    study    folder, present
    census                                            answered by: census: machines, left
    beat     beat                                     answered by: beat
    bye

Unasked it says `ended` (everything: why, how many machines, how long until all was quiet, what was left),
`lapsed` (one machine that has lived its time) and `idle` (nothing to hold; the answer, if any, is bye).
"""

from __future__ import annotations

import json
import os
import resource
import select
import shutil
import signal
import socket
import time
from contextlib import suppress
from pathlib import Path

from environments.warden.program.card import Card
from environments.warden.program.ending import (
    PATIENCE_S,
    SETTLING_S,
    TICK_S,
    Hold,
    end,
    inhabitants,
    left_of,
    mounts,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["LARGEST", "Keeper", "main"]

LARGEST = 1 << 17
"""Bytes of a message."""
_MOST_DESCRIPTORS = 250
_LOOK_S = 0.03
"""Between two looks at all processes of the host."""
_BEATS = 5
"""In the time of a lease."""
_OPEN_FILES = 1 << 16
"""A machine takes about seven descriptors; what a process may open by itself is often 1024."""
_IDLE_S = 2.0
"""Without a machine to hold, after which the runner is asked whether the warden is still wanted."""


class Keeper:
    """The warden, or its heir: both keep the same books and differ in whom they hear.

    Args:
        upstream: who renews the lease.
        lease_s: how long upstream may be silent while there are machines.
        heir: where everything heard is passed on; None for the heir itself.
        card: what others find the warden by; None for the heir, until it is one.
        name: of whoever is upstream, for messages.
    """

    def __init__(
        self,
        upstream: socket.socket,
        *,
        lease_s: float,
        name: str,
        heir: socket.socket | None = None,
        card: Card,
    ) -> None:
        for channel in (upstream, heir):
            if channel is not None:
                channel.setblocking(False)
        self._upstream = upstream
        self._lease_s = lease_s
        self._name = name
        self._heir = heir
        self._card = card
        self._holds: dict[str, Hold] = {}
        self._leaving: dict[str, float] = {}
        self._look_again_at = 0.0
        self._idle_since = time.monotonic()
        self._told_idle = False
        self._machines = 0
        self._places: set[str] = set()
        """Groups and folders of machines that were let go."""
        self._own: list[str] = []
        """Folders of the runner's that no machine has to itself."""
        self._heard = self._told = time.monotonic()
        self._halted = False
        self._wakeup_out, wakeup_in = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.set_wakeup_fd(wakeup_in, warn_on_full_buffer=False)
        signal.signal(signal.SIGTERM, self._halt)

    def _halt(self, *_: object) -> None:
        self._halted = True

    def run(self) -> None:
        """Keep the books until upstream says goodbye, is gone, or is silent for too long."""
        while (reason := self._turn()) is None:
            pass
        if reason:
            self._end_all(reason)
        for folder in self._own:
            shutil.rmtree(folder, ignore_errors=True)
        self._pass_on({"do": "bye"}, [])
        self._card.remove()

    def _turn(self) -> str | None:
        """Wait for something and deal with it; returns why everything is to end, or "" for no reason."""
        watched = [self._upstream.fileno(), self._wakeup_out, *([self._heir.fileno()] if self._heir else [])]
        readable, _, _ = select.select(watched, [], [], self._wait_s())
        if self._wakeup_out in readable:
            os.read(self._wakeup_out, 64)
        if self._halted:
            return "it was told to halt"
        if self._heir is not None and self._heir.fileno() in readable:
            return "the warden's heir is gone"
        while self._upstream.fileno() in readable:
            match self._hear():
                case "more":
                    continue
                case "bye":
                    return ""
                case "gone":
                    return f"{self._name} is gone" if self._holds else ""
            break
        return self._look_at_the_clock()

    def _wait_s(self) -> float:
        if self._leaving:
            return TICK_S
        soonest = min((hold.ends_at for hold in self._holds.values()), default=float("inf"))
        return max(0.0, min(self._lease_s / _BEATS, _IDLE_S, soonest - time.monotonic()))

    def _look_at_the_clock(self) -> str | None:
        now = time.monotonic()
        if self._heir is not None and now - self._told > self._lease_s / _BEATS:
            self._pass_on({"do": "beat"}, [])
        if now - self._heard > self._lease_s:
            if self._holds:
                return f"{self._name} has not renewed its lease for {self._lease_s:g} s"
            self._heard = now
        if self._heir is not None and self._is_idle(now):
            return ""
        for lease, hold in list(self._holds.items()):
            if now > hold.ends_at:
                self._lapse(lease, hold)
        self._see_out()
        return None

    def _is_idle(self, now: float) -> bool:
        """Whether there has been nothing to hold for so long that whoever was upstream may be gone for good.

        An event loop that was closed closes nothing. One that lives says goodbye when it is told of this.
        """
        if self._holds or self._card.studies:
            self._idle_since = now
            return False
        if not self._told_idle and now - self._idle_since > _IDLE_S:
            self._told_idle = True
            self._say({"idle": True})
        if now - self._idle_since < _IDLE_S:
            self._told_idle = False
        return now - self._idle_since > 2 * _IDLE_S

    def _hear(self) -> str:
        try:
            data, descriptors, _, _ = socket.recv_fds(self._upstream, LARGEST, _MOST_DESCRIPTORS)
        except BlockingIOError:
            return "nothing"
        except OSError:
            return "gone"
        if not data:
            return "gone"
        self._heard = time.monotonic()
        message = json.loads(data)
        if message["do"] != "beat":
            self._pass_on(message, descriptors)
        return self._do(message, descriptors)

    def _do(self, message: dict[str, Any], descriptors: list[int]) -> str:
        match message["do"]:
            case "hold":
                hold = Hold(label=message["label"], ends_at=time.monotonic() + message["lifetime_s"])
                hold.add(message, [])
                self._holds[message["lease"]] = hold
                self._machines += 1
            case "add":
                self._add(message, descriptors)
            case "release":
                self._leaving[message["lease"]] = time.monotonic() + SETTLING_S
                self._see_out()
            case "own":
                self._own.append(message["folder"])
            case "study":
                self._card.study(message["folder"], present=message["present"])
                if self._heir is not None:
                    self._card.write()
            case "census":
                self._say({"census": {"machines": self._machines, "left": self._found_again()}})
            case "beat":
                self._say({"beat": message.get("beat")})
            case "bye":
                return "bye"
        return "more"

    def _add(self, message: dict[str, Any], descriptors: list[int]) -> None:
        hold = self._holds.get(message["lease"])
        if hold is not None:
            hold.add(message, descriptors)
            return
        # The machine has lived its time already: what still becomes known of it goes the same way.
        late = Hold(label="", ends_at=0.0)
        late.add(message, descriptors)
        end([late])
        late.close()

    def _see_out(self) -> None:
        """Answer those releases that can be answered: all is gone, or it has had its time to go."""
        if not self._leaving or (self._heir is not None and time.monotonic() < self._look_again_at):
            return
        living = inhabitants() if self._heir is not None else {}
        # One look serves all who leave at about the same time: it costs as much as there are processes.
        self._look_again_at = time.monotonic() + _LOOK_S
        for lease, deadline in list(self._leaving.items()):
            hold = self._holds.get(lease)
            left = left_of(hold, living) if hold is not None and self._heir is not None else []
            if left and time.monotonic() < deadline:
                continue
            del self._leaving[lease]
            if hold is not None:
                del self._holds[lease]
                if left:
                    end([hold])
                self._places.update(hold.groups, hold.folders)
                hold.close()
            self._say({"released": lease, "left": left})

    def _found_again(self) -> list[str]:
        """Look once more for all machines there ever were, and for those nobody has let go."""
        return [
            *(place for place in sorted(self._places) if Path(place).exists()),
            *(f"mount {place}" for _, place in mounts() if place in self._places),
            *(f"{hold.label}, which was never closed" for hold in self._holds.values()),
        ]

    def _lapse(self, lease: str, hold: Hold) -> None:
        _, left = end([hold])
        hold.close()
        del self._holds[lease]
        self._say({"lapsed": lease, "left": left})

    def _end_all(self, reason: str) -> None:
        machines = len(self._holds)
        took, left = end(list(self._holds.values()))
        said = {"ended": reason, "machines": machines, "took_s": round(took, 3), "left": left}
        self._say(said)
        if self._halted:
            self._card.ended(said)

    def _say(self, message: dict[str, Any]) -> None:
        if self._heir is None:  # whoever hears from an heir takes it for its end
            return
        with suppress(OSError):
            self._upstream.send(json.dumps(message).encode())

    def _pass_on(self, message: dict[str, Any], descriptors: list[int]) -> None:
        if self._heir is not None:
            self._told = time.monotonic()
            with suppress(OSError):  # an heir that is gone is noticed where it is waited for
                socket.send_fds(self._heir, [json.dumps(message).encode()], descriptors)


def main(lease_s: float, cards: str, runner: int) -> None:
    """Become two, and keep the books."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OPEN_FILES if most == resource.RLIM_INFINITY else min(most, _OPEN_FILES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
    upstream = socket.socket(fileno=os.dup(0))
    os.close(0)
    os.open(os.devnull, os.O_RDONLY)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    warden = os.getpid()
    path = Path(cards, f"{warden}.json")
    card = Card(path, {"warden": warden, "runner": runner, "lease_s": lease_s, "since": time.time()})
    if (heir := os.fork()) == 0:
        ours.close()
        upstream.close()
        # Longer by a beat: a warden that only ended the machines late has not failed yet.
        Keeper(theirs, lease_s=1.2 * lease_s + PATIENCE_S, name="the warden", card=card).run()
        return
    theirs.close()
    card.write(heir=heir)
    keeper = Keeper(upstream, lease_s=lease_s, name="the runner", heir=ours, card=card)
    upstream.send(json.dumps({"ready": [warden, heir]}).encode())
    keeper.run()
    upstream.close()
    os.waitpid(heir, 0)
