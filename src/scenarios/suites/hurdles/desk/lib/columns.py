"""Reading files of orders."""

from __future__ import annotations

from pathlib import Path

__all__ = ["amounts"]


def amounts(path: str) -> list[int]:
    """Return the amount of each order in cents; the first line is the head."""
    lines = Path(path).read_text().splitlines()[1:]
    return [int(line.split(",")[1]) for line in lines]
