"""The desk: looks entries up, has the stamp service stamp the question, and seals the answer.

python3 -IS desk.py

Reads settings.json beside it, and then each settings.d/*.json in the order of their names; what a later
file says overrules an earlier one. Paths are relative to this directory.
"""

from __future__ import annotations

import os
import sys

from scenarios.suites.autonomy.programs.answering import (
    Answer,
    Refused,
    Wrong,
    ask,
    described,
    read,
    sealed,
    serve,
    started,
)

__all__ = ["start"]

FIELDS = 3


def settled() -> dict[str, str]:
    """Return the settings that hold after all files."""
    settings = described("settings.json")
    further = sorted(os.listdir("settings.d")) if os.path.isdir("settings.d") else []
    for name in further:
        if name.endswith(".json"):
            settings.update(described(f"settings.d/{name}"))
    return settings


def entries_of(path: str, *, encoding: str, separator: str) -> dict[str, str]:
    """Read the entries: number -> name and town.

    Raises:
        Wrong: the file cannot be read, or is not in this encoding or form.
    """
    entries = {}
    try:
        with open(path, encoding=encoding) as file:
            for count, line in enumerate(file, start=1):
                fields = line.rstrip("\n").split(separator)
                if len(fields) != FIELDS:
                    raise Wrong(f"{path} line {count}: {FIELDS} fields expected, {len(fields)} found")
                entries[fields[0]] = f"{fields[1]}, {fields[2]}"
    except OSError as error:
        raise Wrong(f"cannot read {path}: {error.strerror}") from None
    except (UnicodeError, LookupError, ValueError) as error:
        raise Wrong(f"{path}: {error}") from None
    return entries


def start() -> None:
    """Serve until told to end."""
    settings = settled()
    entries = entries_of(settings["entries"], encoding=settings["encoding"], separator=settings["separator"])
    key, stamp = read(settings["key"]), settings["stamp"]

    def entry(question: dict[str, str]) -> Answer:
        nonce, found = question["nonce"], entries.get(question["number"])
        if found is None:
            raise Refused("404 Not Found", f"{settings['entries']} has no entry {question['number']}")
        stamped = ask(stamp, "/stamp", {"nonce": nonce})["stamp"]
        return {"entry": found, "stamp": stamped, "seal": sealed(key, nonce, found, stamped)}

    serve("desk", int(settings["port"]), {"POST /entry": entry})


if __name__ == "__main__":
    os.chdir(os.path.dirname(os.path.abspath(sys.argv[0])))
    started("desk", start)
