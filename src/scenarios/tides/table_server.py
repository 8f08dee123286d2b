"""Read heights off a tide table on 127.0.0.1.

    python3 -IS table_server.py --config config.json

It reads, answers and does nothing else. It runs alone, with the standard library of any Python from 3.9
on, so it shares no code with the front beside it.
"""

from __future__ import annotations

import json
import mmap
import socketserver
import sys
from pathlib import Path

__all__ = ["TABLE_SIZE", "main", "read_off"]

ROW = 256
ROWS = 1024
TABLE_SIZE = ROW * ROWS
"""256 KiB, one byte a reading."""
HEIGHTS = 8
PRIME = 2**61 - 1
LONGEST = 1 << 16


def read_off(table: memoryview, when: bytes) -> str:
    """Return eight heights in centimetres, separated by spaces.

    Args:
        table: `TABLE_SIZE` bytes.
        when: each byte chooses a row, so that much of the table is read.
    """
    phase = 1
    for position, byte in enumerate(when):
        phase = _advanced(table, phase, byte + 7 * position)
    heights = []
    for position in range(HEIGHTS):
        phase = _advanced(table, phase, position)
        heights.append(str(phase % 1000))
    return " ".join(heights)


def _advanced(table: memoryview, phase: int, step: int) -> int:
    row = (phase + step) % ROWS * ROW
    return (phase * 65537 + sum(table[row : row + ROW]) + step) % PRIME


class Heights(socketserver.StreamRequestHandler):
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
        if words[:2] != [b"POST", b"/height"]:
            return "404 Not Found", {"error": "there are GET /health and POST /height"}
        try:
            when = json.loads(self.rfile.read(length))["when"]
            height = read_off(self.server.table, when.encode())
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return "400 Bad Request", {"error": 'the body must be {"when": TEXT}'}
        return "200 OK", {"height": height}


class Server(socketserver.ThreadingTCPServer):
    """Listens on loopback and keeps the table mapped for as long as it lives."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, port: int, table: memoryview) -> None:
        self.table = table
        super().__init__(("127.0.0.1", port), Heights)


def mapped(path: Path) -> memoryview:
    """Map a table into memory.

    Raises:
        ValueError: the file is not as large as tables are.
    """
    with path.open("rb") as file:
        size = path.stat().st_size
        if size != TABLE_SIZE:
            raise ValueError(f"{path} holds {size} bytes instead of {TABLE_SIZE}")
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def configured(path: Path) -> tuple[int, Path]:
    """Read the table server's port and table from a config.

    Raises:
        ValueError: the config is malformed.
    """
    config = json.loads(path.read_text())
    port = config.get("table_port") if isinstance(config, dict) else None
    table = config.get("table") if isinstance(config, dict) else None
    if not isinstance(port, int) or not 0 < port < 65536:
        raise ValueError(f"{path}: table_port must be a port number")
    if not isinstance(table, str):
        raise ValueError(f"{path}: table must name a file")  # noqa: TRY004 -- one kind of wrong config
    return port, path.parent / table


def main(arguments: list[str]) -> None:
    """Serve until killed; whatever prevents it is one line on standard error and status 1."""
    if len(arguments) != 2 or arguments[0] != "--config":
        sys.exit("usage: table_server.py --config FILE")
    try:
        port, path = configured(Path(arguments[1]))
        table = mapped(path)
    except OSError as error:
        sys.exit(f"table_server: cannot read {error.filename}: {error.strerror}")
    except ValueError as error:
        sys.exit(f"table_server: {error}")
    try:
        server = Server(port, table)
    except OSError as error:
        sys.exit(f"table_server: cannot listen on 127.0.0.1:{port}: {error.strerror}")
    with server:
        sys.stdout.write(f"table_server: serving {path} on 127.0.0.1:{port}\n")
        sys.stdout.flush()
        server.serve_forever()


if __name__ == "__main__":
    main(sys.argv[1:])
