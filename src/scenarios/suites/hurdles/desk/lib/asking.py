"""Asking a peer what it charges."""

from __future__ import annotations

import json
import socket

__all__ = ["charges"]


def charges(port: int, wait_s: float) -> dict[str, int]:
    """Return what the peer on a port charges each region.

    Raises:
        OSError: nothing answers there, or not in time.
    """
    received = b""
    with socket.create_connection(("127.0.0.1", port), timeout=wait_s) as connection:
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        while chunk := connection.recv(4096):
            received += chunk
    found: dict[str, int] = json.loads(received.partition(b"\r\n\r\n")[2])
    return found
