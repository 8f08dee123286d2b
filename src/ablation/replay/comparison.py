"""Two recordings of the same decisions side by side: where the world or the scaffold said something else."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, Literal

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from scaffold.models.recorded import Answered, Recording, Renaming, Turn
    from scaffold.types import Reply

__all__ = ["Comparison", "Divergence", "compare"]

What = Literal["told", "answer", "decision", "question"]


@dataclass(frozen=True, kw_only=True)
class Divergence:
    """One thing that is not as it was. Its texts may be an agent's."""

    step: int
    """Of the record."""
    generation: int
    what: What
    """`told`: what the subject was told; `answer`: what came of a call; `decision`: what it did; `question`:
    it was asked then and not now, or the other way round."""
    where: str
    """The tool, the role of the message, or nothing."""
    then: str | None
    """None where there was nothing."""
    now: str | None


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """All that differs, in the order of steps, and what was put in place of values that are new."""

    divergences: tuple[Divergence, ...]
    replayed: int
    """Decisions that were taken again."""
    renamed: tuple[int, ...]
    """Steps whose decision holds a value as it reads now."""


def compare(then: Recording, now: Recording, renaming: Renaming) -> Comparison:
    """Compare two recordings, generation by generation.

    Args:
        then: as it was.
        now: as it came out with the same decisions.
        renaming: learns on the way which value stood for which; a fresh one.
    """
    found: list[Divergence] = []
    renamed: list[int] = []
    for number in dict.fromkeys((*then.generations, *now.generations)):
        pairs = zip_longest(then.of_generation(number), now.of_generation(number))
        for old, new in pairs:
            if old is None or new is None or (old.reply is None) != (new.reply is None):
                found += _one_sided(old, new, cut=then.cut)
                break
            last = old is then.turns[-1] and then.cut
            found += _of_turn(old, new, renaming, last=last, renamed=renamed)
    found.sort(key=lambda each: each.step)
    return Comparison(divergences=tuple(found), replayed=now.decisions, renamed=tuple(renamed))


def _one_sided(old: Turn | None, new: Turn | None, *, cut: bool) -> Iterator[Divergence]:
    """Tell of a question that stands on one side only; beyond a recording that was cut nothing is known."""
    turn = old if new is None else new
    assert turn is not None
    known = old is not None and old.reply is not None
    if cut and not known:
        return
    yield Divergence(
        step=turn.step,
        generation=turn.generation,
        what="question",
        where=turn.faculty,
        then=f"the subject was asked by {turn.faculty}" if known else None,
        now=None if known else f"the subject is asked by {turn.faculty}",
    )


def _of_turn(
    old: Turn, new: Turn, renaming: Renaming, *, last: bool, renamed: list[int]
) -> Iterator[Divergence]:
    for was, became in zip_longest(old.added, new.added):
        texts = [None if each is None else str(each.get("content")) for each in (was, became)]
        if texts[0] is None or texts[1] is None or not renaming.alike(texts[0], texts[1]):
            role = str((was or became or {}).get("role"))
            yield _divergence(old, "told", role, *texts)
    if old.reply is not None and new.reply is not None:
        decided, expected = _decision(new.reply), renaming.renamed(_decision(old.reply))
        if expected != _decision(old.reply):
            renamed.append(old.step)
        if decided != expected:
            yield _divergence(old, "decision", "", _as_text(expected), _as_text(decided))
    yield from _of_answers(old, new.answers, renaming, last=last)


def _of_answers(
    old: Turn, now: Sequence[Answered], renaming: Renaming, *, last: bool
) -> Iterator[Divergence]:
    left = list(now)
    for was in old.answers:
        became = next((each for each in left if each.id == was.id), None)
        if became is not None:
            left.remove(became)
        text = None if became is None else became.text
        if text is None or not renaming.alike(was.text, text):
            yield _divergence(old, "answer", was.tool, was.text, text)
    for became in () if last else left:
        yield _divergence(old, "answer", became.tool, None, became.text)


def _divergence(turn: Turn, what: What, where: str, then: str | None, now: str | None) -> Divergence:
    return Divergence(step=turn.step, generation=turn.generation, what=what, where=where, then=then, now=now)


def _decision(reply: Reply) -> list[object]:
    return [reply.text, [[call.name, dict(call.arguments)] for call in reply.calls]]


def _as_text(decision: object) -> str:
    return orjson.dumps(decision).decode()
