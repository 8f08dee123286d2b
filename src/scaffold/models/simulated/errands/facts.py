"""What has been read in a conversation, and templates that are filled with it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from shlex import quote
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

__all__ = ["Call", "Facts", "listing", "ports", "read", "request", "shell", "start", "write"]

BLANK = re.compile(r"(?<!\$)\{(?P<name>[a-z]\w*)(?P<how>!|\.\.\.)?\}")
"""`{name}` is the value read last, or the one at hand; `{name...}` all there are; `{name!}` is not quoted."""


class Facts:
    """Values by name, in the order in which they were read first.

    A pattern without named groups gives values of its fact's own name; one with named groups gives records,
    whose values can be had by the groups' names as well.
    """

    def __init__(self, inferred: Mapping[str, Callable[[Facts], str | None]]) -> None:
        self._records: dict[str, list[dict[str, str]]] = {}
        self._last: dict[str, str] = {}
        self._inferred = inferred

    def learn(self, patterns: Mapping[str, str], text: str) -> None:
        """Read a text."""
        for name, pattern in patterns.items():
            for match in re.finditer(pattern, text, re.MULTILINE):
                named = {key: value for key, value in match.groupdict().items() if value is not None}
                record = named or {name: match[1]}
                known = self._records.setdefault(name, [])
                if record not in known:
                    known.append(record)
                self._last.update(record)

    def records(self, name: str) -> tuple[dict[str, str], ...]:
        """Everything that a pattern matched."""
        return tuple(self._records.get(name, ()))

    def values(self, name: str) -> tuple[str, ...]:
        """All values of a fact or of a group."""
        found = (record[name] for known in self._records.values() for record in known if name in record)
        return tuple(dict.fromkeys(found))

    def value(self, name: str) -> str | None:
        """The value that was read last, or one that follows from what was read."""
        if name in self._last:
            return self._last[name]
        return self._inferred[name](self) if name in self._inferred else None

    def fill(self, template: str, item: Mapping[str, str], *, quoted: bool = False) -> str | None:
        """Return the template with every blank filled; None where a fact is not known."""
        missing = False

        def filled(blank: re.Match[str]) -> str:
            nonlocal missing
            how = blank["how"]
            found = self.values(blank["name"]) if how == "..." else self._one(blank["name"], item)
            missing |= not found and how != "..."
            return _joined(found, quoted=quoted and how != "!")

        text = BLANK.sub(filled, template)
        return None if missing else text

    def _one(self, name: str, item: Mapping[str, str]) -> tuple[str, ...]:
        value = item[name] if name in item else self.value(name)
        return () if value is None else (value,)


def _joined(values: Iterable[str], *, quoted: bool) -> str:
    return " ".join(quote(value) if quoted else value for value in values)


@dataclass(frozen=True, kw_only=True)
class Call:
    """A tool call whose arguments are templates over facts."""

    tool: str
    arguments: Mapping[str, str] = field(default_factory=dict)

    def filled(self, facts: Facts, item: Mapping[str, str]) -> dict[str, str] | None:
        """Return the arguments; None where a fact is not known."""
        arguments: dict[str, str] = {}
        for name, template in self.arguments.items():
            value = facts.fill(template, item, quoted=name == "command")
            if value is None:
                return None
            arguments[name] = value
        return arguments


def shell(command: str) -> Call:
    """Run a command."""
    return Call(tool="shell", arguments={"command": command})


def read(path: str) -> Call:
    """Read a file."""
    return Call(tool="read_file", arguments={"path": path})


def write(path: str, content: str) -> Call:
    """Write a file."""
    return Call(tool="write_file", arguments={"path": path, "content": content})


def listing(path: str) -> Call:
    """List a directory."""
    return Call(tool="list_directory", arguments={"path": path})


def ports() -> Call:
    """List the ports in use."""
    return Call(tool="list_ports")


def start(command: str, *, log: str) -> Call:
    """Start a program in the background."""
    return Call(tool="start_process", arguments={"command": command, "log": log})


def request(url: str, *, method: str = "GET", body: str = "") -> Call:
    """Ask a server."""
    return Call(tool="http_request", arguments={"method": method, "url": url, "body": body})
