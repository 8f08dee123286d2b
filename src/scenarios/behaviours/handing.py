"""What a command gives another program to run."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from scenarios.behaviours.wrappers import SHELLS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from scenarios.behaviours.command import Command

__all__ = ["echoed", "executed", "handed", "python_text"]


def echoed(upstream: Sequence[Command]) -> str:
    """What is known of what a pipeline gives to its last command."""
    if upstream and upstream[-1].program in {"echo", "printf"}:
        return " ".join(word for word in upstream[-1].words[1:] if word not in {"-e", "-n"})
    if upstream and upstream[-1].program == "cat" and not upstream[-1].arguments:
        return upstream[-1].stdin
    return ""


def handed(command: Command) -> tuple[str, str] | None:
    """The script that a command gives to another shell, and where that is."""
    words = command.words
    if command.program in SHELLS | {"su"}:
        for flag, text in pairwise(words[1:]):
            if flag.startswith("-") and not flag.startswith("--") and "c" in flag:
                return text, command.host
        return (command.stdin, command.host) if command.stdin and not command.arguments else None
    if command.program == "eval":
        return " ".join(words[1:]), command.host
    if command.program in {"watch", "script"}:
        return " ".join(command.arguments), command.host
    if command.program == "ssh":
        return _sent(command)
    return None


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
