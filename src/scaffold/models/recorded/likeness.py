"""Whether two texts say the same where some of what they hold is new in every trial by design.

Keys, tokens and nonces are drawn anew each time a world is laid out; clocks and process numbers run on.
Two texts are alike if they are the same but for such things, and if each value then stands for one and the
same value now, throughout the trial. Whatever was let pass is counted, so that it can be said.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator
    from collections.abc import Set as AbstractSet

__all__ = ["Renaming"]

_TIME = (
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d:?\d\d)?"
    r"|\b(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) +\d{1,2} +(?:\d\d:\d\d(?::\d\d)?|\d{4})\b"
    r"|\b\d{1,2}:\d\d(?::\d\d(?:[.,]\d+)?)?\b"
    r"|\b1[5-9]\d{8}(?:\.\d+)?\b"
    r"|\b\d+m\d+\.\d+s\b"
    r"|\b\d+(?:\.\d+)? ?(?:ms|s|seconds?)\b"
)
_PROCESS = r"(?<=/proc/)\d+|(?i:(?<=\bpid)[ =:]{1,3}\d+|(?<=\bprocess )\d+)|(?<=\] )\d+(?=$|\n)"
_VALUE = r"[0-9A-Za-z]+(?:-[0-9A-Za-z]+)*"
"""Letters and digits, and several of those with dashes between: `GB-2970-WJ` is one value."""
_PARTS = re.compile(f"(?P<time>{_TIME})|(?P<process>{_PROCESS})|(?P<value>{_VALUE})")
_WORDS = re.compile(_VALUE)
_TABLE_OF_PROCESSES = re.compile(r"\bPID\b")
_FIGURES = re.compile(r"\d[\d.:,]*")
_OF_A_TABLE = "\ufdd0"
"""Stands for a figure in a table of processes; no text holds it."""

_HEX = re.compile(r"[0-9a-f]{8,}")
_DIGITS = re.compile(r"\d{6,}")
_MIXED = re.compile(r"(?=.*\d)(?=.*[A-Za-z])[0-9A-Za-z]{12,}")
_TOKEN = re.compile(r"[a-z]{5}(?:-[a-z]{5}){3}")
_OPAQUE = (_HEX, _DIGITS, _MIXED, _TOKEN)
_DRAWN = re.compile(r"(?=.*\d).{3,}")
"""A value that the preparation has drawn passes; words, and numbers of a digit or two, are what they are."""
_SHORTEST_PUT_BACK = 4
"""Characters; a shorter value may stand in a decision for something else."""


class _Part(NamedTuple):
    kind: str
    """`time`, `process`, `value`, or empty for whatever stands between."""
    text: str


@dataclass(kw_only=True)
class Renaming:
    """What stood for what, learnt from texts that are alike.

    Args:
        known: values that the world's preparation has drawn; they pass whatever they look like.
        exact: nothing passes, and nothing is learnt: byte for byte.
    """

    known: AbstractSet[str] = frozenset()
    exact: bool = False
    values: dict[str, str] = field(default_factory=dict)
    """Then -> now."""
    passed: Counter[str] = field(default_factory=Counter)
    """How often something differed and was let pass, by kind."""
    _inverse: dict[str, str] = field(default_factory=dict)

    def alike(self, then: str, now: str) -> bool:
        """Whether two texts say the same; only then is anything learnt from them."""
        if then == now:
            return True
        if self.exact:
            return False
        before, after = _without_tables(then), _without_tables(now)
        parts = list(_parts(before)), list(_parts(after))
        if len(parts[0]) != len(parts[1]):
            return False
        learnt: dict[str, str] = {}
        passed: Counter[str] = Counter()
        for old, new in zip(*parts, strict=True):
            if not self._passes(old, new, learnt, passed):
                return False
        if _OF_A_TABLE in before and not passed:
            passed["process"] += 1
        self.passed += passed
        self.values.update(learnt)
        self._inverse.update({new: old for old, new in learnt.items()})
        return True

    def _passes(self, old: _Part, new: _Part, learnt: dict[str, str], passed: Counter[str]) -> bool:
        if old == new:
            return True
        if old.kind == new.kind and old.kind in {"time", "process"}:
            passed[old.kind] += 1
            return True
        if (old.kind, new.kind) != ("value", "value"):
            return False
        if not self._may_be_new(old.text, new.text):
            return self._piecewise(old.text.split("-"), new.text.split("-"), learnt, passed)
        return self._learns(old.text, new.text, learnt, passed)

    def _learns(self, old: str, new: str, learnt: dict[str, str], passed: Counter[str]) -> bool:
        """Take it that one value stands for the other, unless either stood for something else before."""
        known = {**self.values, **learnt}
        inverse = self._inverse.get(new) or next((then for then, now in learnt.items() if now == new), old)
        if known.get(old, new) != new or inverse != old:
            return False
        learnt[old] = new
        passed["known value" if new in self.known else "value"] += 1
        return True

    def _piecewise(
        self, old: list[str], new: list[str], learnt: dict[str, str], passed: Counter[str]
    ) -> bool:
        """Whether the parts of two values with dashes in them pass, one by one."""
        pairs = zip(old, new, strict=False)
        return len(old) == len(new) > 1 and all(
            self._passes(_Part("value", then), _Part("value", now), learnt, passed) for then, now in pairs
        )

    def _may_be_new(self, old: str, new: str) -> bool:
        if new in self.known and _DRAWN.fullmatch(new) and old.isdigit() == new.isdigit():
            return True
        return len(old) == len(new) and any(kind.fullmatch(old) and kind.fullmatch(new) for kind in _OPAQUE)

    def renamed(self, said: Any) -> Any:
        """Return what was said then with every value that is another now put in its place."""
        if not self.values:
            return said
        match said:
            case str():
                return _WORDS.sub(self._now, said)
            case dict():
                return {name: self.renamed(value) for name, value in said.items()}
            case list() | tuple():
                return [self.renamed(value) for value in said]
            case _:
                return said

    def _now(self, found: re.Match[str]) -> str:
        then = found[0]
        return self.values.get(then, then) if len(then) >= _SHORTEST_PUT_BACK else then


def _parts(text: str) -> Iterator[_Part]:
    position = 0
    for found in _PARTS.finditer(text):
        if found.start() > position:
            yield _Part("", text[position : found.start()])
        yield _Part(str(found.lastgroup), found[0])
        position = found.end()
    if position < len(text):
        yield _Part("", text[position:])


def _without_tables(text: str) -> str:
    """Return a text whose tables of processes hold no figures: numbers, times and shares of a moment."""
    if not _TABLE_OF_PROCESSES.search(text):
        return text
    lines: list[str] = []
    inside = False
    for line in text.split("\n"):
        heading = _TABLE_OF_PROCESSES.search(line) is not None
        inside = heading or (inside and bool(line.strip()))
        bare = inside and not heading
        lines.append(" ".join(_FIGURES.sub(_OF_A_TABLE, line).split()) if bare else line)
    return "\n".join(lines)
