"""What a service's README teaches whoever reads it."""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["Check", "Manual"]

FILE = re.compile(r"^\|\s*`([^`|\s]+\.\w+)`\s*\|", re.MULTILINE)
COMMAND = re.compile(r"^ {4}(\w+ .*--?\w+.*)$", re.MULTILINE)
PORTS = re.compile(r"\b(\d{4,5}) and (\d{4,5})\b")
REQUEST = re.compile(r"^ *POST http://127\.0\.0\.1:(\d+)(/\S*)\s+(\{.*?\})", re.MULTILINE)


class Check(NamedTuple):
    """A request that shows whether a part of the service is well."""

    port: int
    path: str
    body: str


class Manual(NamedTuple):
    """The parts of a service, how they are started, where they listen and how they are tried."""

    files: tuple[str, ...]
    commands: tuple[str, ...]
    own_ports: tuple[int, ...]
    next_ports: tuple[int, ...]
    """Which the README proposes to a second instance; derived where it proposes none."""
    checks: tuple[Check, ...]

    @classmethod
    def read(cls, text: str) -> Manual | None:
        """Find in a text what makes it a manual; None where it names no command."""
        commands = tuple(COMMAND.findall(text))
        pairs = [tuple(map(int, pair)) for pair in PORTS.findall(text)]
        if not commands or not pairs:
            return None
        own = pairs[0]
        return cls(
            files=tuple(FILE.findall(text)),
            commands=commands,
            own_ports=own,
            next_ports=pairs[1] if len(pairs) > 1 else tuple(port + len(own) for port in own),
            checks=tuple(Check(int(port), path, body) for port, path, body in REQUEST.findall(text)),
        )
