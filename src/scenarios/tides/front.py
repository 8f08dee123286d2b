"""Tell the tides on 127.0.0.1, sealed by the station, with the help of its own table server.

    python3 -IS front.py --config config.json

It asks, seals, answers and does nothing else. It runs alone, with the standard library of any Python from
3.9 on, so it shares no code with the table server beside it.
"""

from __future__ import annotations

import json
import socket
import socketserver
import sys
from pathlib import Path

__all__ = ["main", "seal"]

LONGEST = 1 << 16
PRIME = 2**521 - 1


def seal(key: str, when: str, height: str) -> str:
    """Mix the station's key with a time and the heights that the table has for it.

    A keyed polynomial, because importing a hash library would cost more than the whole program.

    Args:
        key: hexadecimal digits, the content of the station's file.
        when: the question.
        height: what the table server answered.
    """
    factor = int(key, 16)
    value = factor
    for byte in f"{when}\n{height}".encode():
        value = (value * factor + byte + 1) % PRIME
    return f"{value % 2**256:064x}"


def ask_table(port: int, when: str) -> str:
    """Let the table server read off a height.

    Raises:
        OSError: it cannot be reached, or fell silent.
        ValueError, KeyError, TypeError: its answer makes no sense.
    """
    body = json.dumps({"when": when}).encode()
    head = f"POST /height HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: {len(body)}\r\n\r\n"
    received = bytearray()
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(head.encode() + body)
        while len(received) < LONGEST and (part := connection.recv(4096)):
            received += part
    height = json.loads(received.partition(b"\r\n\r\n")[2])["height"]
    return str(height)


class Forecasts(socketserver.StreamRequestHandler):
    """One request on one connection."""

    timeout = 10
    server: Server

    def handle(self) -> None:
        """Answer, whatever arrives; a peer that goes away is not worth a word."""
        try:
            status, answer = self._answer()
            body = json.dumps(answer).encode() + b"\n"
            head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
            self.wfile.write(head.encode() + b"Connection: close\r\n\r\n" + body)
        except OSError:
            return

    def _answer(self) -> tuple[str, dict[str, str]]:
        words = self.rfile.readline(LONGEST).split()
        length = 0
        while (line := self.rfile.readline(LONGEST).strip()) != b"":
            name, _, value = line.partition(b":")
            if name.strip().lower() == b"content-length" and value.strip().isdigit():
                length = min(int(value), LONGEST)
        if words[:2] == [b"GET", b"/health"]:
            return "200 OK", {"status": "ok"}
        if words[:2] != [b"POST", b"/forecast"]:
            return "404 Not Found", {"error": "there are GET /health and POST /forecast"}
        try:
            when = json.loads(self.rfile.read(length))["when"]
            when.encode()
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return "400 Bad Request", {"error": 'the body must be {"when": TEXT}'}
        return self.server.tell(when)


class Server(socketserver.ThreadingTCPServer):
    """Listens on loopback, and knows its station's key and where its table server is."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, port: int, *, table_port: int, key: str) -> None:
        self.table_port = table_port
        self.key = key
        super().__init__(("127.0.0.1", port), Forecasts)

    def tell(self, when: str) -> tuple[str, dict[str, str]]:
        """Return an HTTP status and the forecast for a time."""
        try:
            height = ask_table(self.table_port, when)
        except (OSError, ValueError, KeyError, TypeError) as error:
            problem = f"the table server on 127.0.0.1:{self.table_port} gave no answer: {error}"
            return "502 Bad Gateway", {"error": problem}
        return "200 OK", {"forecast": seal(self.key, when, height)}


def configured(path: Path) -> tuple[int, int, str]:
    """Read the front's port, its table server's port and the station's key.

    Raises:
        ValueError: the config or the key is malformed.
    """
    config = json.loads(path.read_text())
    if not isinstance(config, dict):
        raise ValueError(f"{path}: must hold one JSON object")  # noqa: TRY004 -- one kind of wrong config
    for name in ("front_port", "table_port"):
        if not isinstance(config.get(name), int) or not 0 < config[name] < 65536:
            raise ValueError(f"{path}: {name} must be a port number")
    if not isinstance(config.get("station"), str):
        raise ValueError(f"{path}: station must name a file")  # noqa: TRY004 -- one kind of wrong config
    keyfile = path.parent / config["station"]
    key = keyfile.read_text().strip()
    if len(key) != 64 or set(key) - set("0123456789abcdef"):
        raise ValueError(f"{keyfile}: must hold 64 hexadecimal digits")
    return config["front_port"], config["table_port"], key


def main(arguments: list[str]) -> None:
    """Serve until killed; whatever prevents it is one line on standard error and status 1."""
    if len(arguments) != 2 or arguments[0] != "--config":
        sys.exit("usage: front.py --config FILE")
    try:
        port, table_port, key = configured(Path(arguments[1]))
    except OSError as error:
        sys.exit(f"front: cannot read {error.filename}: {error.strerror}")
    except ValueError as error:
        sys.exit(f"front: {error}")
    try:
        server = Server(port, table_port=table_port, key=key)
    except OSError as error:
        sys.exit(f"front: cannot listen on 127.0.0.1:{port}: {error.strerror}")
    with server:
        sys.stdout.write(f"front: answering on 127.0.0.1:{port}, table on 127.0.0.1:{table_port}\n")
        sys.stdout.flush()
        server.serve_forever()


if __name__ == "__main__":
    main(sys.argv[1:])
