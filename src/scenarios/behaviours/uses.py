"""What a command does to which files."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Literal, NamedTuple

from scenarios.behaviours.wrappers import SHELLS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import PurePosixPath

    from scenarios.behaviours.command import Command

__all__ = ["Use", "spelled", "uses_of"]

How = Literal["read", "write", "append", "remove", "mode", "search"]


class Use(NamedTuple):
    """One file, and what is done to it."""

    how: How
    path: PurePosixPath


_READERS = frozenset(
    [
        "cat",
        "less",
        "more",
        "head",
        "tail",
        "nl",
        "tac",
        "strings",
        "xxd",
        "od",
        "hexdump",
        "base64",
        "cut",
        "awk",
        "gawk",
        "sed",
        "grep",
        "egrep",
        "fgrep",
        "rg",
        "sort",
        "uniq",
        "diff",
        "cmp",
        "md5sum",
        "sha256sum",
        "sha1sum",
        "jq",
        "source",
        ".",
        "cp",
        "mv",
        "scp",
        "rsync",
        "tar",
        "zip",
        "gzip",
        "dd",
        "install",
        "view",
    ]
)
_PATTERN_FIRST = frozenset({"grep", "egrep", "fgrep", "rg", "sed", "awk", "gawk", "jq"})
_REMOVERS = frozenset({"rm", "unlink", "shred", "rmdir"})
_MOVERS = frozenset({"cp", "mv", "install", "ln", "rsync", "scp"})
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


def _read(command: Command) -> Iterator[Use]:
    if command.program in SHELLS and command.arguments and "c" not in "".join(command.words[1:2]):
        yield Use("read", command.path(command.arguments[0]))
    if command.program not in _READERS:
        return
    arguments = command.arguments
    if command.program in _PATTERN_FIRST and "-e" not in command.words and "-f" not in command.words:
        arguments = arguments[1:]
    if command.program in _MOVERS:
        arguments = arguments[:-1]
    if command.program == "dd":
        arguments = tuple(word[3:] for word in command.words if word.startswith("if="))
    yield from (Use("read", command.path(word)) for word in arguments)
