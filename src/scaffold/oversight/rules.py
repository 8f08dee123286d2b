r"""Ordered rules: the first that fits a call decides about it.

As a TOML file:

    default = "allow"               # where no rule fits; allow unless told

    [[rule]]
    tool = "shell"                  # the tool's name, * and ? as in file names
    match = 'rm\s+-rf'              # a regular expression, searched in each argument
    decision = "deny"               # allow, deny, ask or abort
    reason = "nothing is removed"   # told to the subject
"""

from __future__ import annotations

import json
import re
import tomllib
from dataclasses import dataclass, field
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, get_args

from scaffold.oversight.decisions import Decision, Verb

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from typing import Self

    from scaffold.oversight.decisions import View
    from scaffold.types import ToolCall

__all__ = ["Rule", "Rules", "RulesFault", "rules_text"]

_VERBS = get_args(Verb)


class RulesFault(ValueError):
    """Rules that cannot be followed; the message names the line."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What is decided about the calls that fit.

    Raises:
        RulesFault: the decision is unknown or the expression is none.
    """

    decision: Verb
    tool: str = "*"
    """Name of the tool, with `*` and `?` as in file names."""
    match: str | None = None
    """Searched in every argument, texts as they are and other values as JSON; None fits them all."""
    reason: str = ""
    _expression: re.Pattern[str] | None = field(default=None, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _check_verb("decision", self.decision)
        if self.match is not None:
            try:
                expression = re.compile(self.match)
            except re.error as fault:
                raise RulesFault(f"match: {self.match!r} is not a regular expression: {fault}") from None
            object.__setattr__(self, "_expression", expression)

    def fits(self, call: ToolCall) -> bool:
        """Whether this rule is about the call."""
        if not fnmatchcase(call.name, self.tool):
            return False
        return self._expression is None or any(map(self._expression.search, _texts(call.arguments)))


def rules_text(path: Path) -> str:
    """Return the text of a file of rules.

    Raises:
        RulesFault: it cannot be read.
    """
    try:
        return path.read_text()
    except OSError as fault:
        raise RulesFault(f"cannot read the rules in {path}: {fault.strerror}") from fault
    except UnicodeDecodeError as fault:
        raise RulesFault(f"{path} is not text in UTF-8") from fault


@dataclass(frozen=True, kw_only=True)
class Rules:
    """Decides by the first rule that fits.

    Raises:
        RulesFault: the default is unknown.
    """

    rules: tuple[Rule, ...]
    default: Verb = "allow"

    def __post_init__(self) -> None:
        _check_verb("default", self.default)

    @classmethod
    def from_file(cls, path: Path) -> Self:
        """Read a file of rules.

        Raises:
            RulesFault: it cannot be read or followed.
        """
        return cls.from_text(rules_text(path), name=str(path))

    @classmethod
    def from_text(cls, text: str, *, name: str) -> Self:
        """Read rules from the text of a file.

        Args:
            text: TOML.
            name: of the file, for messages.

        Raises:
            RulesFault: they cannot be followed; the message has file and line.
        """
        try:
            found = tomllib.loads(text)
        except tomllib.TOMLDecodeError as fault:
            raise RulesFault(f"{name}: {fault}") from fault
        places = _Places(text)
        try:
            _check_keys(found, {"rule", "default"})
            default = found.get("default", "allow")
            _check_verb("default", default)
        except _Misplaced as fault:
            raise RulesFault(f"{name}:{places.of(None, fault.key)}: {fault}") from None
        tables = found.get("rule", [])
        if not isinstance(tables, list):
            raise RulesFault(
                f"{name}:{places.of(None, 'rule')}: rules are written as [[rule]], twice bracketed"
            )
        rules = []
        for number, table in enumerate(tables):
            try:
                rules.append(_rule(table))
            except _Misplaced as fault:
                raise RulesFault(f"{name}:{places.of(number, fault.key)}: {fault}") from None
        return cls(rules=tuple(rules), default=default)

    @property
    def asks(self) -> bool:
        """Whether some call may be left to a person."""
        return "ask" in {self.default, *(rule.decision for rule in self.rules)}

    async def __call__(self, call: ToolCall, view: View, /) -> Decision:
        """Decide by the first rule that fits."""
        del view
        for rule in self.rules:
            if rule.fits(call):
                reason = rule.reason or (f"a rule about {rule.tool}" if rule.decision != "allow" else "")
                return Decision(verb=rule.decision, reason=reason, by="rule")
        return Decision(verb=self.default, reason="" if self.default == "allow" else "the default", by="rule")


class _Misplaced(RulesFault):
    """Something wrong under one key."""

    def __init__(self, key: str, problem: str) -> None:
        super().__init__(problem)
        self.key = key


def _check_verb(key: str, verb: object) -> None:
    if verb not in _VERBS:
        raise _Misplaced(key, f"{key}: {verb!r} is no decision{_near(str(verb), _VERBS)}")


def _check_keys(table: Mapping[str, Any], known: set[str]) -> None:
    for key in table:
        if key not in known:
            raise _Misplaced(key, f"there is no {key!r} in rules{_near(key, sorted(known))}")


def _rule(table: Any) -> Rule:
    if not isinstance(table, dict):
        raise _Misplaced("rule", "rules are written as [[rule]], twice bracketed")
    _check_keys(table, {"tool", "match", "decision", "reason"})
    if "decision" not in table:
        raise _Misplaced("", f"the rule has no decision: one of {', '.join(_VERBS)}")
    for key, value in table.items():
        if not isinstance(value, str):
            raise _Misplaced(key, f"{key}: {value!r} is no text")
    try:
        return Rule(**table)
    except _Misplaced:
        raise
    except RulesFault as fault:
        raise _Misplaced("match", str(fault)) from None


def _near(name: str, known: tuple[str, ...] | list[str]) -> str:
    near = get_close_matches(name, known, n=1, cutoff=0.5)
    return f", did you mean {near[0]!r}?" if near else f": there are {', '.join(known)}"


class _Places:
    """Where things stand in the text of a file of rules: what TOML readers forget."""

    def __init__(self, text: str) -> None:
        self._lines = text.split("\n")
        heads = re.compile(r"\s*\[\[\s*[\"']?rule[\"']?\s*\]\]")
        self._heads = [at for at, line in enumerate(self._lines) if heads.match(line)]

    def of(self, rule: int | None, key: str) -> int:
        """Return the line, counted from 1, of a key of a rule (counted from 0) or of the head."""
        if rule is None or rule >= len(self._heads):
            first, last = 0, len(self._lines)
        else:
            first, last = self._heads[rule], [*self._heads[1:], len(self._lines)][rule]
        named = re.compile(rf"\s*(?:\[+\s*)?[\"']?{re.escape(key)}[\"']?\s*(?:=|\])") if key else None
        return next(
            (at + 1 for at in range(first, last) if named and named.match(self._lines[at])), first + 1
        )


def _texts(value: Any) -> Iterator[str]:
    """Yield every text in the arguments of a call, names of arguments left out."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from _texts(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _texts(part)
    else:
        yield json.dumps(value, default=str)
