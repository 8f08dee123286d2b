"""What a shell script would run, command by command, whatever it is wrapped in. None of it is run."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Literal

from scenarios.behaviours.lexing import CLOSED, OPENED, Token, tokens
from scenarios.behaviours.pythons import calls_of
from scenarios.behaviours.wrappers import PYTHON, SHELLS, unwrapped
from scenarios.site import HOME

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["Command", "Loop", "commands_of", "python_commands", "within"]

DEEPEST = 6
MOST_VARIANTS = 8
"""Of one command whose variable takes several values."""
_VARIABLE = re.compile(f"{OPENED}([^{CLOSED}]*){CLOSED}")
_ASSIGNED = re.compile(r"([A-Za-z_]\w*)\+?=(.*)", re.DOTALL)
_CLOSING = frozenset({"then", "do", "else", "elif", "{", "}", "!", "fi", "esac", "if", "time", "function"})


@dataclass(frozen=True, kw_only=True)
class Loop:
    """A loop that a command stands in, told apart from others by its number."""

    number: int
    kind: Literal["while", "until", "for"]


@dataclass(frozen=True, kw_only=True)
class Command:
    """One simple command with everything that stands around it taken off."""

    words: tuple[str, ...]
    """The program and its arguments; what only the machine could know is left as `$name` or `$(...)`."""
    writes: tuple[tuple[str, str], ...] = ()
    """Redirections of output to files: `>` or `>>`, and where."""
    reads: tuple[str, ...] = ()
    """Files that its input is taken from."""
    stdin: str = ""
    """What a here-document, or an `echo` before it in the pipeline, gives it."""
    fed: tuple[Command, ...] = ()
    """The commands whose output it is given: earlier ones of its pipeline, and those in its words."""
    loops: tuple[Loop, ...] = ()
    condition: bool = False
    """It decides whether its innermost loop goes on."""
    background: bool = False
    detached: bool = False
    """It outlives its shell: nohup, setsid, disown."""
    cwd: PurePosixPath = HOME
    host: str = ""
    """Where it runs, if it was sent to another by ssh."""

    @property
    def program(self) -> str:
        """Without its folder."""
        return PurePosixPath(self.words[0]).name if self.words else ""

    @property
    def arguments(self) -> tuple[str, ...]:
        """Words that are no options."""
        return tuple(word for word in self.words[1:] if not word.startswith("-"))

    @property
    def text(self) -> str:
        """For evidence."""
        redirected = [f"{sign} {path}" for sign, path in self.writes]
        return " ".join([*self.words, *redirected])

    def path(self, word: str) -> PurePosixPath:
        """Where a word leads, taken for a path; `..` is followed, links are not."""
        parts: list[str] = []
        for part in (self.cwd / word).parts:
            if part == ".." and len(parts) > 1:
                parts.pop()
            elif part != "..":
                parts.append(part)
        return PurePosixPath(*parts)


def commands_of(
    script: str, *, cwd: PurePosixPath = HOME, host: str = "", depth: int = 0
) -> tuple[Command, ...]:
    """Return what a script would run, in order; both branches of a choice, a loop's body once.

    What it hands to another shell, to `ssh`, `xargs`, `find -exec` or python is looked into as well.
    """
    if depth > DEEPEST:
        return ()
    return tuple(_Reader(tokens(script), cwd=cwd, host=host, depth=depth).run())


@dataclass(frozen=True, kw_only=True)
class _Value:
    texts: tuple[str, ...]
    fed: tuple[Command, ...] = ()


@dataclass(kw_only=True)
class _Pending:
    """A command as far as it was read."""

    words: list[Token] = field(default_factory=list)
    writes: list[tuple[str, Token]] = field(default_factory=list)
    reads: list[Token] = field(default_factory=list)
    stdin: str = ""


class _Reader:
    def __init__(self, found: Sequence[Token], *, cwd: PurePosixPath, host: str, depth: int) -> None:
        self._tokens = list(found)
        self._cwd, self._host, self._depth = cwd, host, depth
        self._values = {"HOME": _Value(texts=(str(HOME),)), "PWD": _Value(texts=(str(cwd),))}
        self._pending = _Pending()
        self._pipeline: list[Command] = []
        self._loops: list[Loop] = []
        self._conditional = False
        self._made = 0
        self._done: list[Command] = []
        self._groups: list[int] = []
        """Where among the commands each open bracket began."""
        self._closed = 0
        """Where the loop or bracket began that was closed last, if nothing came after it."""

    def run(self) -> list[Command]:
        at = 0
        while at < len(self._tokens):
            at = self._take(at)
        self._end("\n")
        return self._done

    def _take(self, at: int) -> int:
        token = self._tokens[at]
        if token.kind == "operator":
            self._end(token.text)
            return at + 1
        if token.kind == "redirection":
            return self._redirected(at)
        if not self._pending.words and not token.quoted and self._keyword(token.text):
            return at + 1
        self._pending.words.append(token)
        return at + 1

    def _redirected(self, at: int) -> int:
        sign, rest = self._tokens[at].text.lstrip("0123456789"), self._tokens[at + 1 : at + 2]
        if not rest or rest[0].kind not in {"word", "text"}:
            return at + 1
        target = rest[0]
        if target.kind == "text" or sign == "<<<":
            self._pending.stdin += target.text
        elif sign in {">", ">|", "&>", ">>", "&>>"}:
            self._pending.writes.append((">>" if sign.endswith(">>") else ">", target))
        elif sign in {"<", "<>"}:
            self._pending.reads.append(target)
        return at + 2

    def _keyword(self, word: str) -> bool:
        if word in {"while", "until"}:
            self._made += 1
            self._loops.append(Loop(number=self._made, kind=word))  # type: ignore[arg-type]
            self._groups.append(len(self._done))
            self._conditional = True
        elif word == "do":
            self._conditional = False
        elif word == "done" and self._loops and self._groups:
            self._loops.pop()
            self._close(self._groups.pop())
        elif word not in _CLOSING and word != "done":
            return False
        return True

    def _end(self, sign: str) -> None:
        pending, self._pending = self._pending, _Pending()
        made = self._commands(pending, background=sign == "&")
        if made:
            self._closed = len(self._done)
        self._pipeline += made
        for each in made:
            self._done.append(each)
            self._done += self._looked_into(each)
        if sign == "&":
            self._done[self._closed :] = [
                replace(each, background=True) for each in self._done[self._closed :]
            ]
        if sign not in {"|", "|&"}:
            self._pipeline = []
        if sign == "(":
            self._groups.append(len(self._done))
        elif sign == ")" and self._groups:
            self._close(self._groups.pop())

    def _close(self, began: int) -> None:
        """What stood in a bracket or a loop goes into the next pipe, or into the background, together."""
        self._closed = began
        self._pipeline = self._done[began:]

    # -------------------------------------------------------------- one command

    def _commands(self, pending: _Pending, *, background: bool) -> list[Command]:
        words = [*pending.words]
        if words and words[0].text in {"for", "select"}:
            self._for(words)
            return []
        assigned = []
        while words and _ASSIGNED.match(words[0].text):
            assigned.append(Token(kind="word", text=words[0].text))
            self._assign(words.pop(0))
        if not words and assigned:
            words = [Token(kind="word", text="export"), *assigned]
        if not words and not pending.writes and not pending.reads:
            return []
        fed = (*self._pipeline, *self._inner(pending.words))
        return [
            self._command(each, pending, fed=fed, background=background) for each in self._variants(words)
        ]

    def _command(
        self, words: list[str], pending: _Pending, *, fed: tuple[Command, ...], background: bool
    ) -> Command:
        bare = unwrapped(words)
        command = Command(
            words=bare.words,
            writes=tuple((sign, self._first(token)) for sign, token in pending.writes),
            reads=tuple(self._first(token) for token in pending.reads),
            stdin=pending.stdin or _echoed(self._pipeline),
            fed=fed,
            loops=tuple(self._loops),
            condition=self._conditional,
            background=background,
            detached=bare.detached,
            cwd=self._cwd,
            host=self._host,
        )
        if command.program in {"cd", "pushd"} and command.arguments:
            self._cwd = command.path(command.arguments[0])
        return command

    def _variants(self, words: list[Token]) -> list[list[str]]:
        """A word with a variable of several known values makes as many commands."""
        texts: list[list[str]] = [[]]
        for word in words:
            values = self._expanded(word)[: MOST_VARIANTS if len(texts) == 1 and self._depth < 2 else 1]
            texts = [[*before, value] for before in texts for value in values]
        return texts

    def _expanded(self, word: Token) -> list[str]:
        text = word.text
        if text == "~" or (text.startswith("~/") and not word.quoted):
            text = f"{HOME}{text[1:]}"
        found = [text]
        for name in dict.fromkeys(_VARIABLE.findall(text)):
            value = self._values.get(re.split(r"[:%#/\[]", name)[0])
            texts = value.texts if value is not None and value.texts else (f"${name}",)
            found = [each.replace(f"{OPENED}{name}{CLOSED}", new) for each in found for new in texts]
        return found[:MOST_VARIANTS]

    def _first(self, word: Token) -> str:
        return self._expanded(word)[0]

    def _inner(self, words: list[Token]) -> tuple[Command, ...]:
        """Commands whose output stands in words, themselves or by way of a variable."""
        found: list[Command] = []
        for word in words:
            for script in word.inner:
                found += commands_of(script, cwd=self._cwd, host=self._host, depth=self._depth + 1)
            for name in _VARIABLE.findall(word.text):
                if (value := self._values.get(name)) is not None:
                    found += value.fed
        return tuple(found)

    def _assign(self, word: Token) -> None:
        assigned = _ASSIGNED.match(word.text)
        assert assigned is not None
        name, text = assigned.groups()
        fed = self._inner([word])
        self._done += [each for each in fed if each not in self._done]
        texts = () if "$(...)" in text else tuple(self._expanded(replace(word, text=text)))
        self._values[name] = _Value(texts=texts, fed=fed)

    def _for(self, words: list[Token]) -> None:
        self._made += 1
        self._loops.append(Loop(number=self._made, kind="for"))
        self._groups.append(len(self._done))
        if len(words) < 2:
            return
        listed = words[3:]
        fed = self._inner(listed)
        self._done += fed
        texts = [text for word in listed if not word.inner for text in self._expanded(word)]
        self._values[words[1].text] = _Value(texts=tuple(texts[:MOST_VARIANTS]), fed=fed)

    # ------------------------------------------------------- what it hands on

    def _looked_into(self, command: Command) -> Iterator[Command]:
        """What a command has another program run."""
        for each in command.fed:
            if each not in self._done:
                yield each
        handed = _handed(command)
        if handed is not None:
            script, host = handed
            nested = commands_of(script, cwd=command.cwd, host=host, depth=self._depth + 1)
            yield from (within(each, command) for each in nested)
        for words in _executed(command):
            yield replace(command, words=unwrapped(list(words)).words, fed=(*command.fed, command))
        if PYTHON.match(command.program) and (text := _python_text(command)):
            yield from python_commands(text, command, depth=self._depth)


def python_commands(text: str, around: Command, *, depth: int = 0) -> Iterator[Command]:
    """What Python text does that a command runs."""
    for words in calls_of(text):
        if words[0] == "shell":
            for each in commands_of(words[1], cwd=around.cwd, host=around.host, depth=depth + 1):
                yield within(each, around)
        else:
            yield replace(around, words=words, writes=(), reads=(), stdin="")


def within(command: Command, around: Command) -> Command:
    """Return a command of a script that another command runs, with what is true of both."""
    moved = tuple(replace(loop, number=loop.number + 1000) for loop in command.loops)
    return replace(
        command,
        loops=(*around.loops, *moved),
        background=command.background or around.background,
        detached=command.detached or around.detached,
    )


def _echoed(upstream: Sequence[Command]) -> str:
    """What is known of what a pipeline gives to its last command."""
    if upstream and upstream[-1].program in {"echo", "printf"}:
        return " ".join(word for word in upstream[-1].words[1:] if word not in {"-e", "-n"})
    if upstream and upstream[-1].program == "cat" and not upstream[-1].arguments:
        return upstream[-1].stdin
    return ""


def _handed(command: Command) -> tuple[str, str] | None:
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


def _executed(command: Command) -> Iterator[tuple[str, ...]]:
    """What find runs on what it finds."""
    words = command.words
    for at, word in enumerate(words):
        if command.program == "find" and word in {"-exec", "-execdir", "-ok"}:
            rest = words[at + 1 :]
            stop = next((n for n, each in enumerate(rest) if each in {";", "+"}), len(rest))
            if stop:
                yield rest[:stop]


def _python_text(command: Command) -> str:
    for flag, text in pairwise(command.words[1:]):
        if flag.startswith("-") and not flag.startswith("--") and flag.endswith("c"):
            return text
    return command.stdin if not [each for each in command.arguments if each != "-"] else ""
