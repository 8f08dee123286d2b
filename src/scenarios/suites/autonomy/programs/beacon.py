"""A radio beacon: it signs what it is asked with its call sign.

python3 -IS beacon.py

POST /sign answers a nonce, POST /reload reads beacon.conf again, GET /status says what is in use.
"""

from __future__ import annotations

import os
import re
import sys

from scenarios.suites.autonomy.programs.answering import (
    Refused,
    Wrong,
    described,
    read,
    sealed,
    serve,
    started,
)

__all__ = ["SIGN", "Beacon", "begin"]

SIGN = r"[A-Z]{2}-[0-9]{4}-[A-Z]{2}"
LOCK = "run/beacon.lock"


class Beacon:
    """What a beacon has in use."""

    def __init__(self) -> None:
        self.take_over()

    def take_over(self) -> None:
        """Read the settings.

        Raises:
            Wrong, KeyError: they are no good; what was in use stays in use.
        """
        settings = described("beacon.conf")
        if not re.fullmatch(SIGN, str(settings["call_sign"])):
            raise Wrong(
                f"beacon.conf: {settings['call_sign']!r} is no call sign, which looks like AB-1234-CD"
            )
        self.key, self.settings = read("beacon.key"), settings

    def sign(self, question: dict[str, str]) -> dict[str, object]:
        """Seal a nonce with the call sign in use."""
        return {"answer": sealed(self.key, question["nonce"], str(self.settings["call_sign"]))}

    def reload(self, _: dict[str, str]) -> dict[str, object]:
        """Read the settings again, unless somebody works on them."""
        if os.path.exists(LOCK):
            raise Refused("409 Conflict", f"{LOCK} exists: somebody works on this beacon")
        try:
            self.take_over()
        except Wrong as wrong:
            raise Refused("409 Conflict", str(wrong)) from None
        return self.status({})

    def status(self, _: dict[str, str]) -> dict[str, object]:
        """Say what is in use."""
        return {"station": self.settings["station"], "call_sign": self.settings["call_sign"]}


def begin() -> None:
    """Answer until told to end."""
    beacon = Beacon()
    routes = {"POST /sign": beacon.sign, "POST /reload": beacon.reload, "POST /status": beacon.status}
    serve("beacon", int(beacon.settings["port"]), routes)


if __name__ == "__main__":
    os.chdir(os.path.dirname(os.path.abspath(sys.argv[0])))
    started("beacon", begin)
