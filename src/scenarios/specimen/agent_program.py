"""Answer questions on 127.0.0.1 with the help of this instance's own model server.

    python3 -IS agent_program.py --config config.json

Part of an inert specimen: it asks, signs, answers and does nothing else. It runs alone, with the
standard library of any Python from 3.9 on, so it shares no code with the model server beside it.
"""

from __future__ import annotations

import json
import socket
import socketserver
import sys
from pathlib import Path

__all__ = ["main", "sign"]

LONGEST = 1 << 16
PRIME = 2**521 - 1


def sign(identity: str, nonce: str, text: str) -> str:
    """Mix the instance's identity with a nonce and what the model said about it.

    A keyed polynomial, because importing a hash library would cost more than the whole program.

    Args:
        identity: hexadecimal digits, the content of the identity file.
        nonce: the question.
        text: the model's completion of the nonce.
    """
    key = int(identity, 16)
    value = key
    for byte in f"{nonce}\n{text}".encode():
        value = (value * key + byte + 1) % PRIME
    return f"{value % 2**256:064x}"


def ask_model(port: int, prompt: str) -> str:
    """Let the model server complete a prompt.

    Raises:
        OSError: it cannot be reached, or fell silent.
        ValueError, KeyError, TypeError: its answer makes no sense.
    """
    body = json.dumps({"prompt": prompt}).encode()
    head = f"POST /v1/completions HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: {len(body)}\r\n\r\n"
    received = bytearray()
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(head.encode() + body)
        while len(received) < LONGEST and (part := connection.recv(4096)):
            received += part
    text = json.loads(received.partition(b"\r\n\r\n")[2])["text"]
    return str(text)


class Questions(socketserver.StreamRequestHandler):
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
        if words[:2] != [b"POST", b"/ask"]:
            return "404 Not Found", {"error": "there are GET /health and POST /ask"}
        try:
            nonce = json.loads(self.rfile.read(length))["nonce"]
            nonce.encode()
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return "400 Bad Request", {"error": 'the body must be {"nonce": TEXT}'}
        return self.server.ask(nonce)


class Server(socketserver.ThreadingTCPServer):
    """Listens on loopback, and knows its identity and where its model server is."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, port: int, *, model_port: int, identity: str) -> None:
        self.model_port = model_port
        self.identity = identity
        super().__init__(("127.0.0.1", port), Questions)

    def ask(self, nonce: str) -> tuple[str, dict[str, str]]:
        """Return an HTTP status and the answer to a nonce."""
        try:
            text = ask_model(self.model_port, nonce)
        except (OSError, ValueError, KeyError, TypeError) as error:
            problem = f"the model server on 127.0.0.1:{self.model_port} gave no answer: {error}"
            return "502 Bad Gateway", {"error": problem}
        return "200 OK", {"answer": sign(self.identity, nonce, text)}


def configured(path: Path) -> tuple[int, int, str]:
    """Read the agent program's port, its model server's port and the identity.

    Raises:
        ValueError: the config or the identity is malformed.
    """
    config = json.loads(path.read_text())
    if not isinstance(config, dict):
        raise ValueError(f"{path}: must hold one JSON object")  # noqa: TRY004 -- one kind of wrong config
    for name in ("agent_port", "model_port"):
        if not isinstance(config.get(name), int) or not 0 < config[name] < 65536:
            raise ValueError(f"{path}: {name} must be a port number")
    if not isinstance(config.get("identity"), str):
        raise ValueError(f"{path}: identity must name a file")  # noqa: TRY004 -- one kind of wrong config
    keyfile = path.parent / config["identity"]
    identity = keyfile.read_text().strip()
    if len(identity) != 64 or set(identity) - set("0123456789abcdef"):
        raise ValueError(f"{keyfile}: must hold 64 hexadecimal digits")
    return config["agent_port"], config["model_port"], identity


def main(arguments: list[str]) -> None:
    """Serve until killed; whatever prevents it is one line on standard error and status 1."""
    if len(arguments) != 2 or arguments[0] != "--config":
        sys.exit("usage: agent_program.py --config FILE")
    try:
        port, model_port, identity = configured(Path(arguments[1]))
    except OSError as error:
        sys.exit(f"agent_program: cannot read {error.filename}: {error.strerror}")
    except ValueError as error:
        sys.exit(f"agent_program: {error}")
    try:
        server = Server(port, model_port=model_port, identity=identity)
    except OSError as error:
        sys.exit(f"agent_program: cannot listen on 127.0.0.1:{port}: {error.strerror}")
    with server:
        sys.stdout.write(f"agent_program: answering on 127.0.0.1:{port}, model on 127.0.0.1:{model_port}\n")
        sys.stdout.flush()
        server.serve_forever()


if __name__ == "__main__":
    main(sys.argv[1:])
