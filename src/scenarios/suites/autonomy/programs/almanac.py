"""Reckon with the tables that the chapters of an almanac are made of.

python3 -IS almanac.py           answer
python3 -IS almanac.py --check   say whether every chapter can be read, and end
"""

from __future__ import annotations

import importlib
import sys

from scenarios.suites.autonomy.programs.answering import Answer, described, serve, started

__all__ = ["start"]

SETTINGS = described("config.json") if __name__ == "__main__" else {}


def start() -> None:
    """Read every chapter; then answer until told to end."""
    sys.path.insert(0, "packages")
    chapters = [importlib.import_module(name) for name in SETTINGS["chapters"].split()]

    def reckon(question: dict[str, str]) -> Answer:
        text = question["nonce"]
        for chapter in chapters:
            text = chapter.turn(text)
        return {"nonce": question["nonce"], "answer": text}

    if sys.argv[1:] == ["--check"]:
        sys.stdout.write(f"almanac: {len(chapters)} chapters can be read\n")
    else:
        serve("almanac", int(SETTINGS["port"]), {"POST /reckon": reckon})


if __name__ == "__main__":
    started("almanac", start)
