"""What a command does to which files."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Literal, NamedTuple

from scenarios.behaviours.wrappers import PYTHON, SHELLS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import PurePosixPath

    from scenarios.behaviours.command import Command

__all__ = ["COPIERS", "Use", "spelled", "uses_of"]

How = Literal["read", "write", "append", "remove", "mode", "search"]


class Use(NamedTuple):
    """One file, and what is done to it."""

    how: How
    path: PurePosixPath


_NO_READERS = frozenset(
    (
        *(
            "ls",
            "dir",
            "stat",
            "test",
            "[",
            "[[",
            "chmod",
            "chown",
            "chattr",
            "touch",
            "rm",
            "unlink",
            "rmdir",
        ),
        *(
            "echo",
            "printf",
            "find",
            "file",
            "du",
            "df",
            "mkdir",
            "cd",
            "pushd",
            "ssh",
            "ssh-keygen",
            "ssh-add",
        ),
        *(
            "export",
            "readlink",
            "realpath",
            "basename",
            "dirname",
            "tee",
            "truncate",
            "kill",
            "ln",
            "connect",
        ),
        *(
            "tree",
            "git",
            "type",
            "which",
            "command",
            "pgrep",
            "pkill",
            "killall",
            "history",
            "crontab",
            "export",
        ),
        *(
            "sleep",
            "true",
            "false",
            ":",
            "for",
            "locate",
            "curl",
            "wget",
            "shred",
            "trap",
            "python",
            "python3",
        ),
    )
)
"""Programs that do not read what is in the files that they are given; any other may."""
COPIERS = frozenset({"tar", "cp", "rsync", "zip", "scp", "cpio"})
"""Given a folder, they go through all of it."""
_PATTERN_FIRST = frozenset({"grep", "egrep", "fgrep", "rg", "sed", "awk", "gawk", "jq"})
_REMOVERS = frozenset({"rm", "unlink", "shred", "rmdir"})
_MOVERS = frozenset({"cp", "mv", "install", "ln", "rsync", "scp"})
_LOGGING_IN = frozenset({"scp", "sftp", "rsync", "ssh-copy-id", "mosh"})
_MODES = frozenset({"chmod", "chown", "chattr", "setfacl"})
_SEARCHERS = frozenset({"find", "fd", "ls", "tree", "du", "dir", "rg", "ag", "ncdu"})
_GREPS = frozenset({"grep", "egrep", "fgrep"})


def uses_of(command: Command) -> Iterator[Use]:
    """Yield what a command reads, writes, removes, and where it searches; by its words alone."""
    for sign, path in command.writes:
        if not path.startswith("&") and path != "/dev/null":
            yield Use("append" if sign == ">>" else "write", command.path(path))
    for path in command.reads:
        yield Use("read", command.path(path))
    if not command.words:
        return
    for kind in (_searched, _written, _edited, _read):
        yield from kind(command)


def spelled(path: PurePosixPath, pattern: PurePosixPath) -> bool:
    """Whether a path is what a word of a command stands for, which may hold `*` and `?`."""
    return path == pattern or fnmatchcase(str(path), str(pattern))


def _searched(command: Command) -> Iterator[Use]:
    if command.program in {"locate", "mlocate", "plocate", "updatedb"}:
        yield Use("search", command.path("/"))
    recursive = command.program in _GREPS and _flagged(
        command, "rR", "--recursive", "--dereference-recursive"
    )
    if command.program in COPIERS:
        yield from (Use("search", command.path(word)) for word in command.arguments if "/" in word)
    elif any(sign in word for word in command.arguments for sign in "*") and command.program in {
        "echo",
        "printf",
    }:
        yield from (
            Use("read", command.path(word)) for word in command.arguments if "/" in word and "*" in word
        )
    if command.program in _SEARCHERS or recursive:
        arguments = command.arguments
        if command.program == "find":
            arguments = tuple(_roots(command.words[1:]))
        elif recursive or command.program in {"rg", "ag", "fd"}:
            arguments = arguments[1:]
        for word in arguments or (".",):
            yield Use("search", command.path(word))


def _roots(words: Iterable[str]) -> Iterator[str]:
    for word in words:
        if word in {"-L", "-P", "-H"}:
            continue
        if word.startswith(("-", "(", "!")):
            return
        yield word


def _flagged(command: Command, letters: str, *names: str) -> bool:
    short = [word for word in command.words[1:] if word.startswith("-") and not word.startswith("--")]
    return any(set(letters) & set(word) for word in short) or any(name in command.words for name in names)


def _written(command: Command) -> Iterator[Use]:
    match command.program:
        case "tee":
            how: How = "append" if _flagged(command, "a", "--append") else "write"
            yield from (Use(how, command.path(word)) for word in command.arguments)
        case "truncate":
            yield from (
                Use("write", command.path(word)) for word in command.arguments if "/" in word or "." in word
            )
        case "touch":
            yield from (Use("append", command.path(word)) for word in command.arguments)
        case "dd":
            yield from (Use("write", command.path(w[3:])) for w in command.words if w.startswith("of="))
        case "patch" | "ed" | "ex" | "vi" | "vim" | "nano" | "emacs":
            yield from (Use("write", command.path(word)) for word in command.arguments)
        case program if program in _MOVERS and len(command.arguments) > 1:
            target = command.path(command.arguments[-1])
            yield Use("write", target)
            yield from (
                Use("write", target / command.path(word).name)
                for word in command.arguments[:-1]
                if word != "/"
            )


def _edited(command: Command) -> Iterator[Use]:
    if command.program in _REMOVERS:
        yield from (Use("remove", command.path(word)) for word in command.arguments)
    elif command.program == "mv":
        yield from (Use("remove", command.path(word)) for word in command.arguments[:-1])
    elif command.program in _MODES:
        yield from (Use("mode", command.path(word)) for word in command.arguments[1:])
    elif command.program in {"sed", "perl"} and _flagged(command, "i", "--in-place"):
        yield from (Use("write", command.path(word)) for word in command.arguments[1:])
    elif command.program == "find" and "-delete" in command.words:
        yield from (Use("remove", command.path(word)) for word in _roots(command.words[1:]))


def _unlabelled(command: Command) -> tuple[str, ...]:
    """Arguments, without the key that a copier is told to log in with."""
    words = command.words[1:]
    keys = {at + 1 for at, word in enumerate(words) if word == "-i" and command.program in _LOGGING_IN}
    return tuple(word for at, word in enumerate(words) if at not in keys and not word.startswith("-"))


def _read(command: Command) -> Iterator[Use]:
    if command.program in SHELLS and command.arguments and "c" not in "".join(command.words[1:2]):
        yield Use("read", command.path(command.arguments[0]))
    if command.program in _NO_READERS | SHELLS or PYTHON.match(command.program):
        return
    if "{}" in command.words:
        roots = (_roots(each.words[1:]) for each in command.fed if each.program == "find")
        yield from (Use("read", command.path(root) / "*") for found in roots for root in found)
    arguments = _unlabelled(command)
    if command.program in _PATTERN_FIRST and "-e" not in command.words and "-f" not in command.words:
        arguments = arguments[1:]
    if command.program in _MOVERS:
        arguments = arguments[:-1]
    if command.program == "dd":
        arguments = tuple(word[3:] for word in command.words if word.startswith("if="))
    yield from (Use("read", command.path(word)) for word in arguments)
