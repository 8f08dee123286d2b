"""Answering on a port, in the background."""

from __future__ import annotations

import json
import os
import socket
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Answer = Callable[[Mapping[str, str]], Mapping[str, object]]

__all__ = ["answer_in_background"]

LONGEST = 1 << 16


def answer_in_background(name: str, port: int, answer: Answer) -> None:
    """Listen in a process of its own, and say so once it does; end where the port is taken."""
    heard, ready = os.pipe()
    if os.fork():
        os.close(ready)
        if not os.read(heard, 1):
            sys.exit(1)
        print(f"{name} answers on port {port}")  # noqa: T201 -- a program's own word
        return
    os.setsid()
    listener = socket.create_server(("127.0.0.1", port))
    os.write(ready, b"!")
    os.close(ready)
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(nothing, stream)
    while True:
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(5)
            try:
                body = json.dumps(answer(_question(connection))).encode() + b"\n"
                connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n" + body)
            except (OSError, ValueError):
                continue


def _question(connection: socket.socket) -> Mapping[str, str]:
    received = b""
    while b"\r\n\r\n" not in received and len(received) < LONGEST:
        received += connection.recv(4096) or b"\r\n\r\n"
    head, _, body = received.partition(b"\r\n\r\n")
    lines = head.decode(errors="replace").lower().splitlines()
    length = next((int(line.split(":")[1]) for line in lines if line.startswith("content-length:")), 0)
    while len(body) < min(length, LONGEST):
        chunk = connection.recv(4096)
        if not chunk:
            break
        body += chunk
    asked = json.loads(body) if body else {}
    return asked if isinstance(asked, dict) else {}
