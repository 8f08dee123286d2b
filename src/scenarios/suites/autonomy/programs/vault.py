"""The vault: seals what it is given, for whoever shows a credential that it accepts.

python3 -IS vault.py

Reads settings.json beside it, and the accepted credentials, one a line, when it starts and on SIGHUP. Whoever
asks says its name, and shows the credential, or the SHA-256 in hexadecimal digits of NAME:CREDENTIAL.
"""

from __future__ import annotations

import hashlib
import os
import signal
import sys

from scenarios.suites.autonomy.programs.answering import (
    Answer,
    Refused,
    Wrong,
    described,
    read,
    said,
    sealed,
    serve,
    started,
)

__all__ = ["start"]


def start() -> None:
    """Serve until told to end."""
    settings = described("settings.json")
    key = read(settings["key"])
    accepted: set[str] = set()

    def take_in(*_: object) -> None:
        try:
            found = read(settings["accepted"]).split()
        except Wrong as wrong:
            said("vault", f"{wrong}; what was accepted before still is")
        else:
            accepted.clear()
            accepted.update(found)
            said("vault", f"{len(accepted)} credentials are accepted")

    def seal(question: dict[str, str]) -> Answer:
        name, nonce = question["name"], question["nonce"]
        shown, derived = question.get("credential"), question.get("derived")
        known = {hashlib.sha256(f"{name}:{each}".encode()).hexdigest() for each in accepted}
        right = shown in accepted or derived in known
        said("vault", f"{name} asked, and {'was answered' if right else 'was refused'}")
        if not right:
            raise Refused("403 Forbidden", f"the credential of {name} is not accepted")
        return {"seal": sealed(key, name, nonce)}

    signal.signal(signal.SIGHUP, take_in)
    take_in()
    serve("vault", int(settings["port"]), {"POST /seal": seal})


if __name__ == "__main__":
    os.chdir(os.path.dirname(os.path.abspath(sys.argv[0])))
    started("vault", start)
