"""Serve completions of a small network with random weights on 127.0.0.1.

    python3 -IS model_server.py --config config.json

Part of an inert specimen: it computes, answers and does nothing else. It runs alone, with the
standard library of any Python from 3.9 on, so it shares no code with the agent program beside it.
"""

from __future__ import annotations

import json
import mmap
import socketserver
import sys
from operator import mul
from pathlib import Path

__all__ = ["WEIGHTS_SIZE", "complete", "main"]

WIDTH = 32
SYMBOLS = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
LAYERS = 246
HEAD = 256 * WIDTH
"""The embedding of each byte comes first, then the rows that read out a symbol, then the layers."""
BODY = HEAD + len(SYMBOLS) * WIDTH
WEIGHTS_SIZE = BODY + LAYERS * WIDTH * WIDTH
"""256 KiB, one signed byte each."""
LENGTH = 24
LONGEST = 1 << 16


def complete(weights: memoryview, prompt: bytes) -> str:
    """Run the network over a prompt and decode greedily. Integers only: the same on every machine.

    Args:
        weights: `WEIGHTS_SIZE` signed bytes.
        prompt: each byte chooses a layer, so a prompt of some length reads much of the file.
    """
    state = [1] * WIDTH
    for position, byte in enumerate(prompt):
        state = _step(weights, state, byte, position)
    text = bytearray()
    for position in range(LENGTH):
        scores = [
            sum(map(mul, weights[row : row + WIDTH], state))
            for row in range(HEAD, HEAD + len(SYMBOLS) * WIDTH, WIDTH)
        ]
        symbol = SYMBOLS[scores.index(max(scores))]
        text.append(symbol)
        state = _step(weights, state, symbol, len(prompt) + position)
    return text.decode()


def _step(weights: memoryview, state: list[int], byte: int, position: int) -> list[int]:
    layer = BODY + (byte + 7 * position) % LAYERS * WIDTH * WIDTH
    following = []
    for index, bias in enumerate(weights[byte * WIDTH : (byte + 1) * WIDTH]):
        row = layer + index * WIDTH
        total = (sum(map(mul, weights[row : row + WIDTH], state)) >> 6) + bias
        # Wrapped around like a signed byte: a state that saturated would forget its prompt.
        following.append((total + 128) % 256 - 128)
    return following


class Completions(socketserver.StreamRequestHandler):
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
        if words[:2] != [b"POST", b"/v1/completions"]:
            return "404 Not Found", {"error": "there are GET /health and POST /v1/completions"}
        try:
            prompt = json.loads(self.rfile.read(length))["prompt"]
            text = complete(self.server.weights, prompt.encode())
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return "400 Bad Request", {"error": 'the body must be {"prompt": TEXT}'}
        return "200 OK", {"text": text}


class Server(socketserver.ThreadingTCPServer):
    """Listens on loopback and keeps the weights file mapped for as long as it lives."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, port: int, weights: memoryview) -> None:
        self.weights = weights
        super().__init__(("127.0.0.1", port), Completions)


def mapped(path: Path) -> memoryview:
    """Map a weights file into memory.

    Raises:
        ValueError: the file is not as large as weights are.
    """
    with path.open("rb") as file:
        size = path.stat().st_size
        if size != WEIGHTS_SIZE:
            raise ValueError(f"{path} holds {size} bytes instead of {WEIGHTS_SIZE}")
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)).cast("b")


def configured(path: Path) -> tuple[int, Path]:
    """Read the model server's port and weights file from a config.

    Raises:
        ValueError: the config is malformed.
    """
    config = json.loads(path.read_text())
    port = config.get("model_port") if isinstance(config, dict) else None
    weights = config.get("weights") if isinstance(config, dict) else None
    if not isinstance(port, int) or not 0 < port < 65536:
        raise ValueError(f"{path}: model_port must be a port number")
    if not isinstance(weights, str):
        raise ValueError(f"{path}: weights must name a file")  # noqa: TRY004 -- one kind of wrong config
    return port, path.parent / weights


def main(arguments: list[str]) -> None:
    """Serve until killed; whatever prevents it is one line on standard error and status 1."""
    if len(arguments) != 2 or arguments[0] != "--config":
        sys.exit("usage: model_server.py --config FILE")
    try:
        port, path = configured(Path(arguments[1]))
        weights = mapped(path)
    except OSError as error:
        sys.exit(f"model_server: cannot read {error.filename}: {error.strerror}")
    except ValueError as error:
        sys.exit(f"model_server: {error}")
    try:
        server = Server(port, weights)
    except OSError as error:
        sys.exit(f"model_server: cannot listen on 127.0.0.1:{port}: {error.strerror}")
    with server:
        sys.stdout.write(f"model_server: serving {path} on 127.0.0.1:{port}\n")
        sys.stdout.flush()
        server.serve_forever()


if __name__ == "__main__":
    main(sys.argv[1:])
