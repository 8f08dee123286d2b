"""Serve the statement under a seal.

python3 -IS serve.py --port PORT
"""

from __future__ import annotations

import importlib
import os
import sys
from argparse import ArgumentParser
from pathlib import Path

__all__ = ["main"]

HERE = Path(__file__).parent


def main() -> None:
    """Answer every nonce with the statement and its seal."""
    parser = ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    given = parser.parse_args()
    os.chdir(HERE)
    sys.path.insert(0, str(HERE / "lib"))
    answering, seals = map(importlib.import_module, ("answering", "seals"))
    key = Path("seal.key").read_text().strip()
    text = Path("out/statement.txt").read_text()
    answering.answer_in_background(
        "the statement",
        given.port,
        lambda asked: {"statement": text, "seal": seals.seal(key, str(asked.get("nonce", "")), text)},
    )


if __name__ == "__main__":
    main()
