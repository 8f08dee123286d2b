"""Shell text as words and operators. Nothing is run, and nothing that is odd is an error: it is read on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

__all__ = ["CLOSED", "OPENED", "Token", "tokens"]

OPENED, CLOSED = "\ue000", "\ue001"
"""Stand around a variable's name in a word, where the shell would put its value."""

_OPERATORS = ("&&", "||", ";;", "|&", ";", "&", "|", "(", ")", "\n")
_REDIRECTIONS = ("<<<", "<<-", "&>>", "<<", ">>", ">|", "<>", "&>", ">&", "<&", ">", "<")
_SPECIAL = frozenset("@*#?$!-_0123456789")
_ESCAPED_IN_QUOTES = '$`"\\\n'


@dataclass(frozen=True, kw_only=True)
class Token:
    """A word, an operator, a redirection, or the text of a here-document."""

    kind: Literal["word", "operator", "redirection", "text"]
    text: str
    inner: tuple[str, ...] = ()
    """The scripts of its command substitutions."""
    quoted: bool = False


def tokens(script: str) -> list[Token]:
    """Split a script; here-documents stand as `text` where their redirection is."""
    return _Lexer(script).run()


@dataclass(kw_only=False)
class _Lexer:
    script: str
    at: int = 0
    found: list[Token] = field(default_factory=list)
    pending: list[tuple[int, str]] = field(default_factory=list)
    """Here-documents whose text is still to come: where it belongs among the tokens, and its end."""
    text: list[str] = field(default_factory=list)
    inner: list[str] = field(default_factory=list)
    open: bool = False
    """A word has begun."""
    quoted: bool = False

    def run(self) -> list[Token]:
        while self.at < len(self.script):
            self._step()
        self._end_word()
        return self.found

    def _step(self) -> None:
        rest = (
            self.script[self.at :] if self.at + 3 > len(self.script) else self.script[self.at : self.at + 3]
        )
        char = rest[0]
        if rest.startswith("\\\n"):
            self.at += 2
        elif char in " \t\r":
            self._end_word()
            self.at += 1
        elif char == "#" and not self.open:
            end = self.script.find("\n", self.at)
            self.at = len(self.script) if end < 0 else end
        elif char in "<>" and rest[1:2] == "(":
            self._substitution(2)
        elif sign := next((each for each in _REDIRECTIONS if rest.startswith(each)), ""):
            self._redirection(sign)
        elif sign := next((each for each in _OPERATORS if rest.startswith(each)), ""):
            self._operator(sign)
        else:
            self._word(char)

    def _operator(self, sign: str) -> None:
        self._end_word()
        self.at += len(sign)
        self.found.append(Token(kind="operator", text=sign))
        if sign == "\n":
            self._documents()

    def _redirection(self, sign: str) -> None:
        """The number of a descriptor before it is no word."""
        if self.open and not self.quoted and "".join(self.text).isdigit():
            sign_of = f"{''.join(self.text)}{sign}"
            self._reset()
        else:
            self._end_word()
            sign_of = sign
        self.at += len(sign)
        self.found.append(Token(kind="redirection", text=sign_of))
        if sign in {"<<", "<<-"}:
            end = self._delimiter()
            self.pending.append((len(self.found), end))
            self.found.append(Token(kind="text", text=""))

    def _delimiter(self) -> str:
        start = self.at
        while start < len(self.script) and self.script[start] in " \t":
            start += 1
        stop = start
        while stop < len(self.script) and self.script[stop] not in " \t\n;&|<>()":
            stop += 1
        self.at = stop
        return self.script[start:stop].replace("'", "").replace('"', "").replace("\\", "")

    def _documents(self) -> None:
        for place, end in self.pending:
            lines: list[str] = []
            while self.at < len(self.script):
                stop = self.script.find("\n", self.at)
                stop = len(self.script) if stop < 0 else stop
                line = self.script[self.at : stop]
                self.at = min(stop + 1, len(self.script))
                if line.strip("\t") == end:
                    break
                lines.append(line)
            self.found[place] = Token(kind="text", text="\n".join(lines) + "\n")
        self.pending.clear()

    def _word(self, char: str) -> None:
        self.open = True
        if char == "'":
            self.quoted = True
            self._single()
        elif char == '"':
            self.quoted = True
            self._double()
        elif char == "\\":
            self.text.append(self.script[self.at + 1 : self.at + 2])
            self.quoted = True
            self.at += 2
        elif char in "$`":
            self._dollar()
        else:
            self.text.append(char)
            self.at += 1

    def _single(self) -> None:
        end = self.script.find("'", self.at + 1)
        end = len(self.script) if end < 0 else end
        self.text.append(self.script[self.at + 1 : end])
        self.at = end + 1

    def _double(self) -> None:
        self.at += 1
        while self.at < len(self.script) and self.script[self.at] != '"':
            char = self.script[self.at]
            if char == "\\" and self.script[self.at + 1 : self.at + 2] in _ESCAPED_IN_QUOTES:
                self.text.append(self.script[self.at + 1 : self.at + 2].strip("\n"))
                self.at += 2
            elif char in "$`":
                self._dollar()
            else:
                self.text.append(char)
                self.at += 1
        self.at += 1

    def _dollar(self) -> None:
        rest = self.script[self.at : self.at + 3]
        if rest.startswith("`"):
            end = self.script.find("`", self.at + 1)
            end = len(self.script) if end < 0 else end
            self._keep(self.script[self.at + 1 : end])
            self.at = end + 1
        elif rest.startswith("$(("):
            end = self.script.find("))", self.at)
            end = len(self.script) if end < 0 else end + 2
            self.text.append(self.script[self.at : end])
            self.at = end
        elif rest.startswith("$("):
            self._substitution(2)
        elif rest.startswith("$'"):
            self.at += 1
            self._single()
        else:
            self._variable()

    def _variable(self) -> None:
        if self.script.startswith("${", self.at):
            end = self.script.find("}", self.at)
            end = len(self.script) if end < 0 else end
            name = self.script[self.at + 2 : end]
            self.at = end + 1
        else:
            stop = self.at + 1
            if self.script[stop : stop + 1] in _SPECIAL:
                stop += 1
            while stop > self.at and self.script[stop : stop + 1].isidentifier():
                stop += 1
            name = self.script[self.at + 1 : stop]
            self.at = stop
        self.text.append(f"{OPENED}{name}{CLOSED}" if name else "$")

    def _substitution(self, skip: int) -> None:
        start = self.at + skip
        stop = _closing(self.script, start)
        self._keep(self.script[start:stop])
        self.at = stop + 1

    def _keep(self, script: str) -> None:
        self.open = True
        self.inner.append(script)
        self.text.append("$(...)")

    def _end_word(self) -> None:
        if self.open:
            self.found.append(
                Token(kind="word", text="".join(self.text), inner=tuple(self.inner), quoted=self.quoted)
            )
        self._reset()

    def _reset(self) -> None:
        self.text, self.inner, self.open, self.quoted = [], [], False, False


def _closing(script: str, start: int) -> int:
    """Where the bracket closes that is open at `start`, quotes heeded."""
    depth, quote, at = 1, "", start
    while at < len(script):
        char = script[at]
        if char == "\\" and quote != "'":
            at += 1
        elif quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        elif char in "()":
            depth += 1 if char == "(" else -1
            if not depth:
                return at
        at += 1
    return len(script)
