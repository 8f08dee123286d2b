"""What the programs of this machine share: they answer questions over HTTP, ask one another, and seal.

A program ends with one line on standard error and status 1 when it cannot start.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
import socketserver
import sys
from collections.abc import Callable

__all__ = [
    "Answer",
    "Refused",
    "Route",
    "Wrong",
    "ask",
    "described",
    "listening",
    "read",
    "said",
    "sealed",
    "serve",
    "started",
    "write",
]

LONGEST = 1 << 20
Answer = dict[str, object]
Route = Callable[[dict[str, str]], Answer]


class Refused(Exception):
    """A question that is answered with an HTTP status and an error."""

    def __init__(self, status: str, error: str) -> None:
        super().__init__(error)
        self.status = status


class Wrong(Exception):
    """Something that a program cannot start with."""


def sealed(key: str, *parts: str) -> str:
    """Return a digest of some text that takes the key to make."""
    return hashlib.sha256("\n".join([key, *parts]).encode()).hexdigest()


def read(path: str) -> str:
    """Return the text of a small file without the white space around it.

    Raises:
        Wrong: it cannot be read.
    """
    try:
        with open(path, encoding="utf-8") as file:
            return file.read().strip()
    except OSError as error:
        raise Wrong(f"cannot read {path}: {error.strerror}") from None


def write(path: str, text: str) -> None:
    """Write a small file and the directory it is in.

    Raises:
        Wrong: it cannot be written.
    """
    try:
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise Wrong(f"cannot write {path}: {error.strerror}") from None


def described(path: str) -> dict[str, str]:
    """Return the settings in a JSON file.

    Raises:
        Wrong: they cannot be read, or are no JSON object.
    """
    try:
        settings = json.loads(read(path))
    except ValueError as error:
        raise Wrong(f"{path} is not JSON: {error}") from None
    if not isinstance(settings, dict):
        raise Wrong(f"{path} must hold one JSON object")
    return settings


def ask(place: str, path: str, question: dict[str, str], *, timeout_s: float = 4.0) -> dict[str, str]:
    """Post a question to HOST:PORT and return the answer.

    Raises:
        Refused: there is no answer, or it is an error.
    """
    host, _, port = place.rpartition(":")
    body = json.dumps(question).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: {place}\r\nContent-Length: {len(body)}\r\n\r\n"
    received = bytearray()
    try:
        with socket.create_connection((host, int(port)), timeout=timeout_s) as connection:
            connection.sendall(head.encode() + body)
            while len(received) < LONGEST and (part := connection.recv(65536)):
                received += part
        top, _, bottom = received.partition(b"\r\n\r\n")
        answer = json.loads(bottom)
    except (OSError, ValueError) as error:
        raise Refused("502 Bad Gateway", f"{place} gave no answer: {error}") from None
    if not isinstance(answer, dict) or b" 200 " not in top.partition(b"\r\n")[0]:
        said = answer.get("error") if isinstance(answer, dict) else answer
        raise Refused("502 Bad Gateway", f"{place} refused: {said}")
    return answer


class Questions(socketserver.StreamRequestHandler):
    """One request on one connection."""

    timeout = 10
    server: Server

    def handle(self) -> None:
        """Answer, whatever arrives; a peer that goes away is not worth a word."""
        try:
            status, answer = self._answered()
            body = json.dumps(answer).encode() + b"\n"
            head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
            self.wfile.write(head.encode() + b"Connection: close\r\n\r\n" + body)
        except OSError:
            return

    def _answered(self) -> tuple[str, Answer]:
        words = self.rfile.readline(4096).decode(errors="replace").split()
        length = 0
        while (line := self.rfile.readline(4096).strip()) != b"":
            name, _, value = line.partition(b":")
            if name.strip().lower() == b"content-length" and value.strip().isdigit():
                length = min(int(value), LONGEST)
        routes = self.server.routes
        route = routes.get(" ".join(words[:2]))
        if route is None:
            return "404 Not Found", {"error": f"there are {', '.join(routes)}"}
        try:
            question = json.loads(self.rfile.read(length)) if length else {}
            return "200 OK", route({name: str(value) for name, value in question.items()})
        except (ValueError, AttributeError, RecursionError):
            return "400 Bad Request", {"error": "the body must be a JSON object"}
        except KeyError as missing:
            return "400 Bad Request", {"error": f"the body lacks {missing}"}
        except Refused as refusal:
            return refusal.status, {"error": str(refusal)}


class Server(socketserver.ThreadingTCPServer):
    """Listens, and knows what it is asked."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, address: str, port: int, routes: dict[str, Route]) -> None:
        self.routes = routes
        super().__init__((address, port), Questions)


def serve(name: str, port: int, routes: dict[str, Route], *, address: str = "127.0.0.1") -> None:
    """Answer until told to end by SIGTERM; `run/NAME.pid` has the process's number meanwhile.

    Args:
        name: of the service.
        port: to listen on.
        routes: by method and path, as in `POST /ask`; each takes the body's fields. GET /health is there.
        address: to listen on.

    Raises:
        Wrong: `run/NAME.lock` forbids it, or the port cannot be had.
    """
    server = listening(name, port, routes, address=address)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    write(f"run/{name}.pid", f"{os.getpid()}\n")
    with server:
        said(name, f"answering on {address}:{port}")
        server.serve_forever(poll_interval=60)


def listening(name: str, port: int, routes: dict[str, Route], *, address: str = "127.0.0.1") -> Server:
    """Take a port for a service; see `serve`, which does it for services that have one.

    Raises:
        Wrong: `run/NAME.lock` forbids it, or the port cannot be had.
    """
    lock = f"run/{name}.lock"
    if os.path.exists(lock):
        raise Wrong(f"{lock} exists: somebody works on this service, or an instance of it runs")
    health: dict[str, Route] = {"GET /health": lambda _: {"status": "ok", "name": name}}
    try:
        return Server(address, port, health | routes)
    except (OSError, OverflowError) as error:
        fault = getattr(error, "strerror", None) or error
        raise Wrong(f"cannot listen on {address}:{port}: {fault}") from None


def said(name: str, line: str) -> None:
    """Say something for the log, at once."""
    sys.stdout.write(f"{name}: {line}\n")
    sys.stdout.flush()


def started(name: str, start: Callable[[], None]) -> None:
    """Run a program's start; what prevents it is said in one line."""
    try:
        start()
    except Wrong as wrong:
        sys.exit(f"{name}: {wrong}")
    except KeyError as missing:
        sys.exit(f"{name}: the settings lack {missing}")
