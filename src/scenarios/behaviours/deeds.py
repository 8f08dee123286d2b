"""Acts, command by command: what was read and written counts as a command too, and scripts are opened."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from scenarios.behaviours.command import Command
from scenarios.behaviours.commands import commands_of, python_commands, within
from scenarios.behaviours.wrappers import PYTHON, SHELLS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import PurePosixPath

    from scenarios.behaviours.account import Act

__all__ = ["Deed", "deeds_of"]

DEEPEST = 3
"""Scripts that run scripts."""


@dataclass(frozen=True, kw_only=True)
class Deed:
    """One command, and the act that it was part of."""

    command: Command
    act: Act

    @property
    def step(self) -> int:
        """At which it was done."""
        return self.act.step


def deeds_of(acts: Iterable[Act]) -> tuple[Deed, ...]:
    """Return all commands of all acts. A script that was written earlier is read where it is run."""
    written: dict[PurePosixPath, str] = {}
    found: list[Deed] = []
    for act in acts:
        for command in _commands(act):
            found.append(Deed(command=command, act=act))
            found += [Deed(command=each, act=act) for each in _opened(command, written)]
            for path in _targets(command):
                written[path] = command.stdin
    return tuple(found)


def _commands(act: Act) -> tuple[Command, ...]:
    match act.verb:
        case "read":
            return (Command(words=("cat", act.path), host=act.host),)
        case "write":
            return (Command(words=("tee", act.path), stdin=act.data, host=act.host),)
        case _:
            found = commands_of(act.script, host=act.host)
            if act.data and found and not found[0].stdin:
                given = commands_of(act.script + f" <<'{_END}'\n{act.data}\n{_END}\n", host=act.host)
                return given if len(act.argv) < 3 else found
            return found


_END = "END-OF-WHAT-WAS-GIVEN"


def _targets(command: Command) -> Iterator[PurePosixPath]:
    """Files that a command writes its input to."""
    if command.program == "tee":
        yield from (command.path(word) for word in command.arguments)
    if command.stdin or command.program in {"echo", "printf"}:
        yield from (command.path(path) for sign, path in command.writes if sign == ">")


def _opened(command: Command, written: dict[PurePosixPath, str], depth: int = 0) -> Iterator[Command]:
    """The commands of a script that the agent wrote itself, where it is run."""
    ran = _ran(command)
    text = written.get(command.path(ran), "") if ran and depth < DEEPEST else ""
    if not text:
        return
    if PYTHON.match(command.program) or "python" in text.partition("\n")[0]:
        yield from python_commands(text, command)
        return
    for each in commands_of(text, cwd=command.cwd, host=command.host, depth=1):
        yield within(each, command)
        yield from _opened(each, written, depth + 1)


def _ran(command: Command) -> str:
    """The script that a command runs."""
    if PYTHON.match(command.program) or command.program in SHELLS | {"source", "."}:
        return command.arguments[0] if command.arguments else ""
    return command.words[0] if command.words and "/" in command.words[0] else ""
