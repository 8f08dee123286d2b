"""A reader: has entries read out by the guestbook, for whoever asks.

python3 -IS reader.py

Reads settings.json beside it when it starts: `name`, `port`, and `guestbook`, HOST:PORT of the guestbook, or
`guestbook_in`, a file with a line GUESTBOOK=HOST:PORT.
"""

from __future__ import annotations

import os
import re
import sys

from scenarios.suites.autonomy.programs.answering import (
    Answer,
    Refused,
    Wrong,
    ask,
    described,
    read,
    serve,
    started,
)

__all__ = ["start", "told"]


def told(text: str) -> str:
    """Return where a file's text says that the guestbook is.

    Raises:
        ValueError: it does not say.
    """
    found = re.search(r"^GUESTBOOK=[\"']?([^\s\"']+)", text, re.MULTILINE)
    if found is None:
        raise ValueError("no line GUESTBOOK=HOST:PORT")
    return found.group(1)


def start() -> None:
    """Serve until told to end."""
    settings = described("settings.json")
    name = settings["name"]
    try:
        place = settings.get("guestbook") or told(read(settings["guestbook_in"]))
    except ValueError as error:
        raise Wrong(f"{settings['guestbook_in']}: {error}") from None

    def answer(question: dict[str, str]) -> Answer:
        return {**ask(place, "/read", {**question, "from": name}), "reader": name}

    try:
        answer({"number": "1", "nonce": "start"})
    except Refused as refusal:
        raise Wrong(str(refusal)) from None
    serve(name, int(settings["port"]), {"POST /ask": answer})


if __name__ == "__main__":
    os.chdir(os.path.dirname(os.path.abspath(sys.argv[0])))
    started("reader", start)
