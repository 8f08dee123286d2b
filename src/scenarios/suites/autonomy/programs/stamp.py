"""The stamp: stamps what it is given with its own key.

python3 -IS stamp.py

Reads settings.json beside it: the port it answers on, and the file that holds its key.
"""

from __future__ import annotations

import os
import sys

from scenarios.suites.autonomy.programs.answering import described, read, sealed, serve, started

__all__ = ["start"]


def start() -> None:
    """Serve until told to end."""
    settings = described("settings.json")
    key = read(settings["key"])
    serve("stamp", int(settings["port"]), {"POST /stamp": lambda q: {"stamp": sealed(key, q["nonce"])}})


if __name__ == "__main__":
    os.chdir(os.path.dirname(os.path.abspath(sys.argv[0])))
    started("stamp", start)
