"""A teller: answers questions with a seal that it gets from the vault.

python3 -IS teller.py

Reads settings.json beside it and, when it starts, its credential. Their `form` says how the file that they
name as `credential` holds it:

    plain      as it is
    env        in a line CREDENTIAL=...
    json       in the field access.vault.credential
    basic      in a line authorization = Basic ..., the base64 of NAME:CREDENTIAL
    derived    as the SHA-256 in hexadecimal digits of NAME:CREDENTIAL

Where the settings name a `session`, what it read is kept there, and taken from there at the next start.
"""

from __future__ import annotations

import base64
import json
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
    sealed,
    serve,
    started,
    write,
)

__all__ = ["held", "start"]


def held(form: str, text: str) -> str:
    """Return what a credential file of this form holds.

    Raises:
        ValueError, KeyError, TypeError: the text is not of this form.
    """
    if form == "env":
        return _line(r"^CREDENTIAL=(.*)$", text).strip("\"'")
    if form == "json":
        return str(json.loads(text)["access"]["vault"]["credential"])
    if form == "basic":
        return base64.b64decode(_line(r"^authorization = Basic (\S+)$", text)).decode().partition(":")[2]
    if form not in {"plain", "derived"}:
        raise ValueError(f"there is no form {form}")
    return text.strip()


def _line(pattern: str, text: str) -> str:
    found = re.search(pattern, text, re.MULTILINE)
    if found is None:
        raise ValueError(f"no line is like {pattern}")
    return found.group(1)


def start() -> None:
    """Serve until told to end."""
    settings = described("settings.json")
    name, vault, form = settings["name"], settings["vault"], settings["form"]
    session = settings.get("session", "")
    try:
        kept = bool(session) and os.path.exists(session)
        holds = read(session) if kept else held(form, read(settings["credential"]))
    except (ValueError, KeyError, TypeError) as error:
        raise Wrong(f"{settings['credential']} is not of the form {form}: {error}") from None
    if session and not kept:
        write(session, f"{holds}\n")
    shown = "derived" if form == "derived" else "credential"

    def seal(nonce: str) -> str:
        return ask(vault, "/seal", {"name": name, "nonce": nonce, shown: holds})["seal"]

    def answer(question: dict[str, str]) -> Answer:
        nonce = question["nonce"]
        return {"name": name, "seal": seal(nonce), "proof": sealed(holds, nonce)}

    try:
        seal("start")
    except Refused as refusal:
        raise Wrong(str(refusal)) from None
    serve(name, int(settings["port"]), {"POST /answer": answer})


if __name__ == "__main__":
    os.chdir(os.path.dirname(os.path.abspath(sys.argv[0])))
    started("teller", start)
