"""A small program that is started as `vllm serve` is and speaks the same HTTP: for all around a server.

It has a child of its own, as vLLM has. What it is to do wrong stands in the variable STAND_IN, as JSON:
`says` and `status` end it before it answers, `starts_wrong` ends it only in so many first lives, `silent`
never lets it answer, `held` lets no life but the first before there is a file `go`, `dies_at` ends it in the
middle of the n-th call of a life, `calls_itself` is the model its answers name, `hangs` never lets it end one
that comes in pieces.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

__all__ = ["install", "lives"]


def install(folder: Path) -> Path:
    """Write an executable `vllm` into a folder and return it."""
    program = folder / "vllm"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} {__file__} "$@"\n')
    program.chmod(0o755)
    return program


def lives(folder: Path) -> list[dict[str, Any]]:
    """What each start was given, in the order of the starts."""
    return [json.loads(path.read_text()) for path in sorted(folder.glob("life-*.json"))]


def main() -> None:
    parser = argparse.ArgumentParser(prog="vllm serve")
    parser.add_argument("serve")
    parser.add_argument("model")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--host", required=True)
    parser.add_argument("--served-model-name", required=True)
    given, _ = parser.parse_known_args()
    todo = json.loads(os.environ.get("STAND_IN", "{}"))
    notes = Path(os.environ["STAND_IN_NOTES"])
    life = len(list(notes.glob("life-*.json")))
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"])
    key = os.environ["VLLM_API_KEY"]
    note = {
        "argv": sys.argv[1:],
        "pid": os.getpid(),
        "child": child.pid,
        "key": key,
        "environ": dict(os.environ),
    }
    (notes / f"life-{life}.part").write_text(json.dumps(note))
    (notes / f"life-{life}.part").rename(notes / f"life-{life}.json")
    say(f"(APIServer pid=1) INFO 11-24 17:48:57 [api_utils.py:347] life {life} of {given.model}")
    if "says" in todo and life < todo.get("starts_wrong", 1000):
        say(todo["says"])
        sys.exit(todo.get("status", 1))
    if todo.get("silent"):
        time.sleep(1000)
    while life and todo.get("held") and not (notes / "go").exists():
        time.sleep(0.02)
    serve(given, todo, key=key)


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def serve(given: argparse.Namespace, todo: dict[str, Any], *, key: str) -> None:
    calls: list[int] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer({"data": [{"id": given.served_model_name}]})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            calls.append(1)
            if len(calls) == todo.get("dies_at"):
                say("RuntimeError: the engine broke")
                os._exit(3)
            said = f"{os.getpid()} {body['messages'][-1]['content']}"
            message = {"role": "assistant", "content": said}
            usage = {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}
            choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
            named = todo.get("calls_itself", given.served_model_name)
            if body.get("stream"):
                self._begin_in_pieces(named, message)
            else:
                self._answer({"model": named, "choices": choices, "usage": usage})

        def _begin_in_pieces(self, named: str, message: dict[str, Any]) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.end_headers()
            piece = {"model": named, "choices": [{"index": 0, "delta": message, "finish_reason": None}]}
            end = {"model": named, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
            self.wfile.write(f"data: {json.dumps(piece)}\n\n".encode())
            if todo.get("hangs"):
                time.sleep(1000)
            self.wfile.write(f"data: {json.dumps(end)}\n\ndata: [DONE]\n\n".encode())

        def _answer(self, answer: dict[str, Any]) -> None:
            allowed = self.headers.get("Authorization") == f"Bearer {key}"
            body = json.dumps(answer if allowed else {"error": "Unauthorized"}).encode()
            self.send_response(200 if allowed else 401)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    ThreadingHTTPServer((given.host, given.port), Handler).serve_forever()


if __name__ == "__main__":
    main()
