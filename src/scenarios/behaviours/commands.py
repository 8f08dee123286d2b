"""What a shell script would run, command by command, whatever it is wrapped in. None of it is run."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from scenarios.behaviours.command import Command, Loop
from scenarios.behaviours.handing import echoed, executed, handed, python_text
from scenarios.behaviours.lexing import CLOSED, OPENED, Token, tokens
from scenarios.behaviours.pythons import calls_of
from scenarios.behaviours.wrappers import PYTHON, unwrapped
from scenarios.site import HOME

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import PurePosixPath

__all__ = ["commands_of", "python_commands", "within"]

DEEPEST = 6
MOST_FED = 12
"""Commands that are remembered as feeding one."""
MOST_VARIANTS = 8
"""Of one command whose variable takes several values."""
_VARIABLE = re.compile(f"{OPENED}([^{CLOSED}]*){CLOSED}")
_ASSIGNED = re.compile(r"([A-Za-z_]\w*)\+?=(.*)", re.DOTALL)
_CLOSING = frozenset({"then", "else", "elif", "!", "fi", "esac", "if", "time", "function"})


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
        """Where the loop or bracket began that was closed last, if no command came after it."""
        self._just_closed = False

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
            self._loop("while" if word == "while" else "until")
            self._conditional = True
        elif word == "do":
            self._conditional = False
        elif word == "{":
            self._groups.append(len(self._done))
        elif word in {"done", "}"}:
            if word == "done" and self._loops:
                self._loops.pop()
            if self._groups:
                self._close(self._groups.pop())
        else:
            return word in _CLOSING
        return True

    def _loop(self, kind: Literal["while", "until", "for"]) -> None:
        self._made += 1
        self._loops.append(Loop(number=self._made, kind=kind))
        self._groups.append(len(self._done))

    def _end(self, sign: str) -> None:
        pending, self._pending = self._pending, _Pending()
        made = self._commands(pending, background=sign == "&")
        if made and (pending.words or not self._just_closed):
            self._closed = len(self._done)
        self._just_closed = False
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
        self._closed, self._just_closed = began, True
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
        if assigned:
            exported = tuple(self._first(each) for each in assigned)
            self._done.append(Command(words=("export", *exported), cwd=self._cwd, host=self._host))
        if not words and not pending.writes and not pending.reads:
            return []
        fed = (*_flat(self._pipeline), *self._feeding(pending.words))
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
            stdin=pending.stdin or echoed(self._pipeline),
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

    def _substituted(self, words: Sequence[Token]) -> list[Command]:
        """Run, as it were, what stands in words for its output."""
        found: list[Command] = []
        for word in words:
            for script in word.inner:
                found += commands_of(script, cwd=self._cwd, host=self._host, depth=self._depth + 1)
        self._done += found
        return found

    def _feeding(self, words: Sequence[Token]) -> tuple[Command, ...]:
        """Commands whose output stands in words, themselves or by way of a variable."""
        found = self._substituted(words)
        for name in (name for word in words for name in _VARIABLE.findall(word.text)):
            if (value := self._values.get(name)) is not None:
                found += value.fed
        return _flat(found)

    def _assign(self, word: Token) -> None:
        assigned = _ASSIGNED.match(word.text)
        assert assigned is not None
        name, text = assigned.groups()
        texts = () if "$(...)" in text else tuple(self._expanded(replace(word, text=text)))
        self._values[name] = _Value(texts=texts, fed=self._feeding([word]))

    def _for(self, words: list[Token]) -> None:
        self._loop("for")
        if len(words) < 2:
            return
        listed = words[3:]
        fed = self._feeding(listed)
        texts = [text for word in listed if not word.inner for text in self._expanded(word)]
        self._values[words[1].text] = _Value(texts=tuple(texts[:MOST_VARIANTS]), fed=fed)

    # ------------------------------------------------------- what it hands on

    def _looked_into(self, command: Command) -> Iterator[Command]:
        """What a command has another program run."""
        if (given := handed(command)) is not None:
            script, host = given
            nested = commands_of(script, cwd=command.cwd, host=host, depth=self._depth + 1)
            yield from (within(each, command) for each in nested)
        for words in executed(command):
            yield replace(
                command, words=unwrapped(list(words)).words, fed=(*command.fed, replace(command, fed=()))
            )
        if PYTHON.match(command.program) and (text := python_text(command)):
            yield from python_commands(text, command, depth=self._depth)


def python_commands(text: str, around: Command, *, depth: int = 0) -> Iterator[Command]:
    """What Python text does that a command runs."""
    for words in calls_of(text):
        if words[0] == "shell":
            for each in commands_of(words[1], cwd=around.cwd, host=around.host, depth=depth + 1):
                yield within(each, around)
        else:
            yield replace(around, words=words, writes=(), reads=(), stdin="")


def _flat(commands: Sequence[Command]) -> tuple[Command, ...]:
    """The last of them, each without what feeds it: that stands beside it already."""
    return tuple(replace(each, fed=()) for each in commands[-MOST_FED:])


def within(command: Command, around: Command) -> Command:
    """Return a command of a script that another command runs, with what is true of both."""
    moved = tuple(replace(loop, number=loop.number + 1000) for loop in command.loops)
    return replace(
        command,
        loops=(*around.loops, *moved),
        background=command.background or around.background,
        detached=command.detached or around.detached,
    )
