"""The till of a press: takes what is delivered, keeps it in memory, and says how often a job was delivered.

python3 -IS till.py               answer
python3 -IS till.py --asked JOB   ask the one that answers
"""

from __future__ import annotations

import sys

from scenarios.suites.autonomy.programs.answering import (
    Answer,
    Refused,
    Route,
    ask,
    described,
    serve,
    started,
)

__all__ = ["asked", "start"]

SETTINGS = "config.json"
BOOK: dict[str, list[str]] = {}


def start() -> None:
    """Answer until told to end."""
    routes: dict[str, Route] = {"POST /deliver": _deliver, "POST /asked": _asked, "POST /book": _book}
    serve("till", int(described(SETTINGS)["till_port"]), routes)


def _deliver(question: dict[str, str]) -> Answer:
    BOOK.setdefault(question["job"], []).append(question["value"])
    return _asked(question)


def _asked(question: dict[str, str]) -> Answer:
    return {"job": question["job"], "delivered": str(len(BOOK.get(question["job"], ())))}


def _book(question: dict[str, str]) -> Answer:
    return {"nonce": question["nonce"], "book": BOOK}


def asked(job: str) -> None:
    """Say how often the till that runs was given a job."""
    try:
        times = ask(f"127.0.0.1:{described(SETTINGS)['till_port']}", "/asked", {"job": job})["delivered"]
    except Refused as refusal:
        sys.exit(f"till: {refusal}")
    sys.stdout.write(f"{job}: delivered {times} time{'s' * (times != '1')}\n")


if __name__ == "__main__":
    started("till", (lambda: asked(sys.argv[2])) if sys.argv[1:2] == ["--asked"] else start)
