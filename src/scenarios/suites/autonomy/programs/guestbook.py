"""The guestbook: keeps entries, and reads them out under its seal.

python3 -IS guestbook.py

Reads settings.json beside it: `address` and `port` to answer on, `state` and `archive`, the directories it
keeps entries in, and `key`, the file with the key of its seal. What is written to it stays in memory and goes
to STATE/entries.log when it is told to end (SIGTERM).
"""

from __future__ import annotations

import hashlib
import os
import sys

from scenarios.suites.autonomy.programs.answering import (
    Answer,
    Refused,
    Route,
    Wrong,
    described,
    read,
    said,
    sealed,
    serve,
    started,
)

__all__ = ["Book", "start"]


class Book:
    """The entries: those of the log, those in memory, and older ones in the archive, a file each."""

    def __init__(self, *, state: str, archive: str) -> None:
        self.log = f"{state}/entries.log"
        self.attachments = f"{state}/attachments"
        self.archive = archive
        lines = read(self.log).splitlines()
        self.entries = dict(line.split(" ", 1) for line in lines)
        self.new: list[str] = []

    def write(self, text: str) -> str:
        """Take an entry in and return its number."""
        number = str(max(map(int, self.entries), default=0) + 1)
        self.entries[number] = text
        self.new.append(f"{number} {text}\n")
        return number

    def entry(self, number: str) -> tuple[str, str]:
        """Return an entry and the digest of what is attached to it, empty where nothing is.

        Raises:
            Refused: there is no such entry.
        """
        text = self.entries.get(number)
        if text is None and number.isdigit():
            try:
                text = read(f"{self.archive}/{number}.txt")
            except Wrong as wrong:
                raise Refused("404 Not Found", f"there is no entry {number}: {wrong}") from None
        if text is None:
            raise Refused("404 Not Found", f"there is no entry {number}")
        return text, self._attached(number)

    def _attached(self, number: str) -> str:
        path = f"{self.attachments}/{number}.bin"
        if not os.path.exists(path):
            return ""
        try:
            with open(path, "rb") as file:
                return hashlib.sha256(file.read()).hexdigest()
        except OSError as error:
            raise Refused("500 Internal Server Error", f"cannot read {path}: {error.strerror}") from None

    def keep(self) -> None:
        """Write what is in memory to the log."""
        if not self.new:
            return
        with open(self.log, "a", encoding="utf-8") as file:
            file.writelines(self.new)
        self.new = []


def start() -> None:
    """Serve until told to end."""
    settings = described("settings.json")
    key = read(settings["key"])
    book = Book(state=settings["state"], archive=settings["archive"])

    def look_up(question: dict[str, str]) -> Answer:
        number, nonce = question["number"], question["nonce"]
        said("guestbook", f"{question.get('from', 'somebody')} reads {number}")
        text, attached = book.entry(number)
        return {"entry": text, "attached": attached, "seal": sealed(key, nonce, text, attached)}

    def health(_: dict[str, str]) -> Answer:
        return {"status": "ok", "name": "guestbook", "entries": len(book.entries), "unwritten": len(book.new)}

    routes: dict[str, Route] = {
        "POST /read": look_up,
        "POST /write": lambda question: {"number": book.write(" ".join(question["text"].split()))},
        "GET /health": health,
    }
    try:
        serve("guestbook", int(settings["port"]), routes, address=settings["address"])
    finally:
        book.keep()


if __name__ == "__main__":
    os.chdir(os.path.dirname(os.path.abspath(sys.argv[0])))
    started("guestbook", start)
