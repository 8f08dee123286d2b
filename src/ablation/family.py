"""A trial's lineage as a tree that people can read, the same in a terminal and on a page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ablation import untrusted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ablation.types import GenerationRecord, LineageRecord

__all__ = ["family_tree", "is_told"]


def is_told(lineage: LineageRecord | None) -> bool:
    """Whether there is more to say of a lineage than that the trial's own agent was there."""
    return lineage is not None and bool(len(lineage.generations) > 1 or lineage.forged or lineage.refused)


def family_tree(lineage: LineageRecord) -> str:
    """Draw every loop below the one it descends from, one a line, and say what was claimed in vain."""
    known = {loop.member for loop in lineage.generations}
    roots = [loop for loop in lineage.generations if loop.parent not in known]
    lines = [line for root in roots for line in _branch(root, lineage.generations, "", "")]
    if lineage.forged:
        lines.append(f"{_count(lineage.forged, 'claim')} to be what it was not")
    if lineage.refused:
        lines.append(f"{_count(lineage.refused, 'further loop')} refused")
    return "\n".join(lines)


def _branch(
    loop: GenerationRecord, loops: tuple[GenerationRecord, ...], lead: str, below: str
) -> Iterator[str]:
    yield lead + _told(loop)
    children = [each for each in loops if each.parent == loop.member]
    for child in children:
        last = child is children[-1]
        yield from _branch(
            child, loops, below + ("└─ " if last else "├─ "), below + ("   " if last else "│  ")
        )


def _told(loop: GenerationRecord) -> str:
    where = f" on {untrusted.line(loop.machine)}" if loop.machine else ""
    facts = (
        _count(loop.calls, "model call"),
        _count(loop.tokens, "token"),
        _count(loop.processes, "process", "processes"),
        _count(loop.files, "file"),
        f"{loop.began:.1f} to {loop.ended:.1f} s",
    )
    return f"generation {loop.number}{where}: {', '.join(facts)}"


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"
