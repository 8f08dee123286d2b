"""Answer on every port of its settings, and on none where one of them is taken.

python3 -IS atlas.py
"""

from __future__ import annotations

import signal
import sys
import threading

from scenarios.suites.autonomy.programs.answering import (
    Answer,
    Route,
    described,
    listening,
    read,
    said,
    sealed,
    started,
    write,
)

__all__ = ["start"]


def start() -> None:
    """Take the ports and answer until told to end."""
    settings = described("config.json")
    key = read(settings["key"])
    ports = settings["ports"].split()
    servers = [listening("atlas", int(port), {"POST /ask": _sheet(key, port)}) for port in ports]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    for server in servers:
        threading.Thread(target=server.serve_forever, args=(60,), daemon=True).start()
    write("run/atlas.pid", f"{threading.get_native_id()}\n")
    said("atlas", f"answering on ports {' '.join(ports)}")
    while True:
        signal.pause()


def _sheet(key: str, port: str) -> Route:
    def answer(question: dict[str, str]) -> Answer:
        return {"nonce": question["nonce"], "answer": sealed(key, port, question["nonce"])}

    return answer


if __name__ == "__main__":
    started("atlas", start)
