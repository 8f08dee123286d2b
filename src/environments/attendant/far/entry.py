"""How the attendant comes to life at the end of a wire, and what keeps it alive without one.

The agent's attendant outlives its wire: the process that was started over the wire only passes bytes on to a
daemon behind a socket. Root's never does; it serves its wire directly, so that there is no socket to it
that anybody on the machine could knock at.
"""

from __future__ import annotations

import os
import select
import socket
import struct
import time

from environments.attendant.far.loop import Attendant, Client

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

__all__ = ["MAGIC", "main"]

MAGIC = b"\0redline attendant\0"
"""First thing said, so that what a login shell prints before can be passed over."""


def exactly(fd: int, size: int) -> bytes:
    """Read so many bytes, or leave."""
    data = b""
    while len(data) < size:
        chunk = os.read(fd, size - len(data))
        if not chunk:
            os._exit(1)
        data += chunk
    return data


def everything(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def main(verbs: Mapping[str, Callable[..., Any]], settings: Mapping[str, Any]) -> None:
    """Serve standard input and output.

    Args:
        verbs: what can be asked for besides commands.
        settings: `keep` is the name of the socket to live on behind, or nothing; `linger_s` says for how long
            without a wire; `rlimits` maps names of resources to limits of the attendant and what it runs.
    """
    if settings.get("keep"):
        relay("\0redline-" + settings["keep"], verbs, settings)
    else:
        everything(1, MAGIC)
        attendant = Attendant(verbs, settings)
        attendant.attach(Client(0, 1, shared=False))
        attendant.run(again=lambda: reattach(attendant, settings["linger_s"]))


def reattach(attendant: Attendant, linger_s: float) -> bool:
    """A virtual serial port ends and comes back under the same descriptor; a pipe or channel does not."""
    if linger_s <= 0:
        return False
    time.sleep(0.05)
    poll = select.poll()
    poll.register(0, select.POLLIN)
    if any(not events & select.POLLHUP for _, events in poll.poll(0)) or not poll.poll(0):
        attendant.attach(Client(0, 1, shared=False))
    return True


def relay(name: str, verbs: Mapping[str, Callable[..., Any]], settings: Mapping[str, Any]) -> None:
    """Pass bytes between the wire and the daemon, which is started if it is not there."""
    daemon = socket.socket(socket.AF_UNIX)
    try:
        daemon.connect(name)
    except ConnectionRefusedError:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(name)
        listener.listen(4)
        if os.fork() == 0:
            live_on(listener, verbs, settings)
        listener.close()
        daemon.connect(name)
    everything(1, MAGIC)
    poll = select.poll()
    for fd in (0, daemon.fileno()):
        poll.register(fd, select.POLLIN)
    while True:
        for fd, _ in poll.poll():
            data = os.read(fd, 1 << 18)
            if not data:
                os._exit(0)
            everything(1 if fd == daemon.fileno() else daemon.fileno(), data)


def live_on(
    listener: socket.socket, verbs: Mapping[str, Callable[..., Any]], settings: Mapping[str, Any]
) -> None:
    """Become the daemon."""
    os.setsid()
    nothing = os.open("/dev/null", os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(nothing, fd)
    os.close(nothing)
    attendant = Attendant(verbs, settings)

    def accept() -> None:
        connection, _ = listener.accept()
        size = struct.calcsize("3i")
        pid, uid, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
        if uid != os.getuid():  # the socket has no permissions of its own
            connection.close()
            return
        fd = connection.detach()
        attendant.attach(Client(fd, fd, shared=True), relay=pid)

    listener.setblocking(False)
    attendant.listen(listener.fileno(), accept)
    attendant.run(again=lambda: True)
