"""Root's own warden on a host: ends everything of the user when the lease there is not renewed any more.

The lease is a file in a directory that only root can enter; the runner renews it by writing something else
into it, over the control connection. So it does not matter why the renewals stay out: the runner was killed,
stopped or hangs, or the way to the host is gone.
"""

from __future__ import annotations

import os
import signal
import time

from environments.ssh.far.household import Household
from environments.ssh.far.tidy import Keep, clean, end

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

__all__ = ["WATCH"]

LOOKS = 10
"""In the time of a lease."""


def watch(user: str, word: str, lease_s: float, lifetime_s: float, **_: Any) -> Mapping[str, Any]:
    """Begin to watch, in a process that nobody's login is above; answers with its number."""
    keep = Keep(user)
    if os.geteuid() != 0 or keep.owner()["word"] != word:
        return {"watcher": 0}
    told, tell = os.pipe()
    if (child := os.fork()) == 0:
        os.setsid()
        watcher = os.fork()
        if watcher:
            os.write(tell, str(watcher).encode())
            os._exit(0)
        quietly()
        stay(user, word, keep, lease_s, time.monotonic() + lifetime_s)
        os._exit(0)
    os.waitpid(child, 0)
    return {"watcher": int(os.read(told, 32))}


def quietly() -> None:
    """Let go of the login this was started by."""
    for number in (signal.SIGHUP, signal.SIGPIPE, signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    nothing = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(nothing, fd)
    os.closerange(3, 1024)
    os.chdir("/")


def stay(user: str, word: str, keep: Keep, lease_s: float, ends_at: float) -> None:
    """Look at the lease until it is given back, not renewed for too long, or has gone on for long enough."""
    last, heard = b"", time.monotonic()
    while keep.owner()["word"] == word:
        now, found = time.monotonic(), keep.lease()
        if found != last:
            last, heard = found, now
        if now - heard > lease_s or now > ends_at:
            end(Household(user))  # first of all it has to be quiet
            clean(user, word)
            return
        time.sleep(lease_s / LOOKS)


WATCH: Mapping[str, Callable[..., Any]] = {"watch": watch}
