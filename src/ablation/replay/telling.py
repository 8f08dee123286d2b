"""A replay, readable in the terminal: what holds, where it parted, side by side. All text is untrusted."""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from ablation import untrusted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from ablation.replay.comparison import Divergence
    from ablation.replay.replaying import Ending, Replay

__all__ = ["print_replay"]

_BEFORE, _AFTER = 2, 8
"""Lines shown before and from the first that differs."""

_PASSED = {
    "known value": "drawn anew by the world's preparation",
    "value": "like keys and nonces, taken for drawn anew",
    "time": "times",
    "process": "process numbers",
}
_WHAT = {
    "told": "what the subject was told ({where})",
    "answer": "what {where} answered",
    "decision": "the decision itself",
    "question": "whether the subject is asked",
}


def print_replay(replay: Replay, console: Console, *, full: bool = False) -> None:
    """Print what a replay found.

    Args:
        replay: the replay.
        console: where to.
        full: every divergence with its whole texts, in place of the first with the lines that differ.
    """
    label = " SIMULATED" if replay.simulated else ""
    console.print(Text.assemble((untrusted.line(replay.trial), "bold"), (label, "bold red")))
    for name, told in _facts(replay):
        console.print(Text.assemble((f"{name:<12}", "dim"), untrusted.line(told, limit=1000)))
    if replay.first is None:
        console.print(Text.assemble(("divergence  ", "dim"), ("none", "green")))
    for divergence in replay.divergences if full else replay.divergences[:1]:
        _print_divergence(divergence, console, first=divergence is replay.first, full=full)
    more = len(replay.divergences) - 1
    if more > 0:
        hint = "" if full else "; --full shows them"
        told = f"{more} more after it, counterfactual: the decisions were made for another world{hint}"
        console.print(Text(f"            {told}", style="yellow"))
    _print_endings(replay.then, replay.now, console, parted=replay.first is not None)


def _facts(replay: Replay) -> Iterator[tuple[str, str]]:
    yield "subject", f"{replay.subject}, attempt {replay.attempt}, replayed on {replay.environment}"
    yield "decisions", f"{replay.replayed} of {replay.decisions} taken again, no model asked"
    if replay.passed:
        told = [f"{count} {_PASSED[kind]}" for kind, count in sorted(replay.passed.items())]
        yield "let pass", f"differences by design: {'; '.join(told)}"
    if replay.renamed:
        steps = ", ".join(map(str, replay.renamed))
        yield "put in", f"values as they read now, in place of what was read then: at step {steps}"
    if replay.changes:
        rest = f" and {len(replay.changes) - 3} more" if len(replay.changes) > 3 else ""
        yield "changed", f"since the trial: {'; '.join(replay.changes[:3])}{rest}"


def _print_divergence(found: Divergence, console: Console, *, first: bool, full: bool) -> None:
    what = _WHAT[found.what].format(where=found.where)
    of = f" of generation {found.generation}" if found.generation else ""
    style = "bold red" if first else "red"
    console.print(
        Text.assemble(
            ("divergence  ", "dim"), (f"{'first ' if first else ''}at step {found.step}{of}: ", style), what
        )
    )
    table = Table(box=None, padding=(0, 2), expand=True)
    for heading in ("then", "now"):
        table.add_column(heading, ratio=1, overflow="fold")
    for then, now in _side_by_side(found.then, found.now, full=full):
        differs = "" if then == now else "red"
        table.add_row(Text(then or "", style=differs), Text(now or "", style=differs))
    console.print(table)


def _side_by_side(then: str | None, now: str | None, *, full: bool) -> list[tuple[str | None, str | None]]:
    """Return lines in pairs: all, or those around the first that differs."""
    before, after = _lines(then), _lines(now)
    pairs = list(zip_longest(before, after))
    if full:
        return pairs
    at = next((place for place, (old, new) in enumerate(pairs) if old != new), 0)
    start, end = max(at - _BEFORE, 0), at + _AFTER
    shown = pairs[start:end]
    if start:
        shown.insert(0, (f"… {start} lines the same …",) * 2)
    if len(pairs) > end:
        shown.append((f"… {len(pairs) - end} more lines …",) * 2)
    return shown


def _lines(text: str | None) -> list[str]:
    """Return lines with what does not show spelled out: two that look alike may not be."""
    if text is None:
        return ["(nothing)"]
    return [untrusted.spelled(line) for line in text.split("\n")]


def _print_endings(then: Ending, now: Ending, console: Console, *, parted: bool) -> None:
    same = then.outcome == now.outcome
    counterfactual = " (counterfactual: after a divergence)" if parted else ""
    console.print(
        Text.assemble(
            ("outcome     ", "dim"),
            f"{_ended(then)} then, ",
            (_ended(now), "green" if same else "bold red"),
            f" now{counterfactual}",
        )
    )
    before, after = dict(then.milestones), dict(now.milestones)
    for name in dict.fromkeys((*before, *after)):
        marks = [_MARKS[each.get(name)] for each in (before, after)]
        style = "" if marks[0] == marks[1] else "bold red"
        told = f"  {untrusted.line(name)}: {marks[0]} then, {marks[1]} now"
        console.print(Text(f"{'':10}{told}", style=style))
    if now.cause and not same:
        console.print(Text(f"{'':12}{untrusted.line(now.cause)}", style="dim"))


_MARKS = {True: "passed", False: "missed", None: "not judged"}


def _ended(ending: Ending) -> str:
    return f"{ending.outcome} ({ending.limit})" if ending.limit else ending.outcome
