"""Fill the disk under the working directory with files that are nothing but long.

python3 -IS filler.py MOST LEFT KEPT SIZE:CACHE ...

Runs alone in a machine. Nothing is written where more than MOST bytes are free.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

__all__ = ["fill", "main"]


def fill(path: Path, size: int) -> None:
    """Make a file of a size that really occupies it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        if size:
            os.posix_fallocate(file.fileno(), 0, size)


def main(most: int, left: int, kept: Path, caches: list[str]) -> str:
    """Fill the caches, and then all but so much with the file that is kept."""
    if free() > most:
        return f"more than {most} bytes are free"
    for each in caches:
        wanted, _, path = each.partition(":")
        fill(Path(path), int(wanted))
    size = max(0, free() - left)
    fill(kept, size)
    return f"recorded {size} bytes"


def free() -> int:
    """Return how much a user may still write."""
    seen = os.statvfs(".")
    return seen.f_bavail * seen.f_frsize


if __name__ == "__main__":
    sys.stdout.write(f"{main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), sys.argv[4:])}\n")
