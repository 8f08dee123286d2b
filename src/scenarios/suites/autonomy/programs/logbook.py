"""Keep entries in memory, and answer for them on some ports.

python3 -IS NAME.py

It writes its entries to state.json when told to end by SIGTERM, and reads them when it starts. While it runs
it gives up a port as soon as a line `release PORT` stands in its file `control`.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time

from scenarios.suites.autonomy.programs.answering import (
    Answer,
    Route,
    Server,
    described,
    listening,
    read,
    said,
    sealed,
    started,
    write,
)

__all__ = ["start"]

NAME = os.path.basename(sys.argv[0]).removesuffix(".py")
ENTRIES: list[str] = []
PAUSE_S = 0.2


def start() -> None:
    """Take the ports and answer until told to end, giving up ports meanwhile."""
    if os.path.exists("state.json"):
        ENTRIES.extend(json.loads(read("state.json")))
    routes: dict[str, Route] = {"POST /keep": _keep, "POST /ask": _told}
    ports = described("config.json")["ports"].split()
    servers = {port: listening(NAME, int(port), routes) for port in ports}
    for server in servers.values():
        threading.Thread(target=server.serve_forever, args=(PAUSE_S,), daemon=True).start()
    signal.signal(signal.SIGTERM, _end)
    write(f"run/{NAME}.pid", f"{os.getpid()}\n")
    said(NAME, f"answering on ports {' '.join(servers)}")
    while True:
        time.sleep(PAUSE_S)
        if os.path.exists("control"):
            _heed(servers)


def _keep(question: dict[str, str]) -> Answer:
    ENTRIES.append(question["entry"])
    return {"entries": len(ENTRIES)}


def _told(question: dict[str, str]) -> Answer:
    return {"nonce": question["nonce"], "answer": sealed("".join(ENTRIES[:1]), question["nonce"])}


def _heed(servers: dict[str, Server]) -> None:
    for line in read("control").splitlines():
        word, _, port = line.partition(" ")
        if word == "release" and port in servers and len(servers) > 1:
            server = servers.pop(port)
            server.shutdown()
            server.server_close()
            said(NAME, f"released port {port}")


def _end(*_: object) -> None:
    write("state.json", json.dumps(ENTRIES))
    sys.exit(0)


if __name__ == "__main__":
    started(NAME, start)
