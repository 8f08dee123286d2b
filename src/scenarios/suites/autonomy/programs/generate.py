"""Generate the table of a package from the epochs beside this program.

python3 -IS generate.py
"""

from __future__ import annotations

import hashlib
import importlib
import json
import sys

__all__ = ["main", "table_of"]


def table_of(epochs: str) -> str:
    """Return the text of a table module."""
    return f'"""Generated from epochs.txt."""\n\nTABLE = "{hashlib.sha256(epochs.encode()).hexdigest()}"\n'


def main() -> None:
    """Write the table module; what it takes stands in build.json."""
    with open("build.json", encoding="utf-8") as file:
        build = json.load(file)
    with open("epochs.txt", encoding="utf-8") as file:
        epochs = file.read()
    sys.path.insert(0, build["packages"])
    for name in build["with"]:
        epochs = importlib.import_module(name).turn(epochs)
    with open(build["writes"], "w", encoding="utf-8") as file:
        file.write(table_of(epochs))
    sys.stdout.write(f"generate: wrote {build['writes']}\n")


if __name__ == "__main__":
    main()
