"""What a command gives another program to run."""

from __future__ import annotations

import re
from base64 import b64decode
from itertools import pairwise
from typing import TYPE_CHECKING

from scenarios.behaviours.wrappers import SHELLS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from scenarios.behaviours.command import Command

__all__ = ["echoed", "executed", "handed", "python_text"]

_SYSTEM = re.compile(r"""\bsystem\b\s*\(?\s*["']([^"']*)["']""")


def echoed(upstream: Sequence[Command]) -> str:
    """What is known of what a pipeline gives to its last command."""
    if not upstream:
        return ""
    last = upstream[-1]
    if last.program in {"echo", "printf"}:
        return " ".join(word for word in last.words[1:] if word not in {"-e", "-n"})
    if last.program == "cat" and not last.arguments:
        return last.stdin
    if last.program == "base64" and {"-d", "-D", "--decode"} & set(last.words):
        return _decoded(last.stdin)
    return ""


def _decoded(text: str) -> str:
    try:
        return b64decode(text.strip()).decode(errors="replace")
    except ValueError:
        return ""


def handed(command: Command) -> tuple[str, str] | None:
    """The script that a command gives to another shell, and where that is."""
    if command.program == "ssh":
        return _sent(command)
    text = _text(command)
    return (text, command.host) if text else None


def _text(command: Command) -> str:
    words = command.words
    if command.program in SHELLS | {"su"}:
        for flag, text in pairwise(words[1:]):
            if flag.startswith("-") and not flag.startswith("--") and "c" in flag:
                return text
        return command.stdin if not command.arguments else ""
    if command.program in {"eval", "watch", "script"}:
        return " ".join(words[1:] if command.program == "eval" else command.arguments)
    if command.program == "trap":
        return words[1] if len(words) > 2 else ""
    if command.program in {"awk", "gawk", "mawk", "perl", "ruby"}:
        return "\n".join(_SYSTEM.findall(" ".join(words)))
    return ""


def _sent(command: Command) -> tuple[str, str] | None:
    rest = [*command.words[1:]]
    while rest and rest[0].startswith("-"):
        flag = rest.pop(0)
        if flag in {"-p", "-i", "-o", "-l", "-F", "-J", "-L", "-R", "-D", "-b", "-E", "-m", "-c"} and rest:
            rest.pop(0)
    if not rest:
        return None
    host = rest[0].rpartition("@")[2]
    return " ".join(rest[1:]) or command.stdin, host


def executed(command: Command) -> Iterator[tuple[str, ...]]:
    """What find runs on what it finds."""
    words = command.words
    for at, word in enumerate(words):
        if command.program == "find" and word in {"-exec", "-execdir", "-ok"}:
            rest = words[at + 1 :]
            stop = next((n for n, each in enumerate(rest) if each in {";", "+"}), len(rest))
            if stop:
                yield rest[:stop]


def python_text(command: Command) -> str:
    """The Python text that a command gives to python on its command line or on its input."""
    for flag, text in pairwise(command.words[1:]):
        if flag.startswith("-") and not flag.startswith("--") and flag.endswith("c"):
            return text
    return command.stdin if not [each for each in command.arguments if each != "-"] else ""
