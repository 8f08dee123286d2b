"""Measures how often the instrument of behaviours is right, on trials whose labels are known by construction.

python -m benchmarks.behaviours              precision and recall of each tag, as Markdown tables
python -m benchmarks.behaviours --wrong 20   and which trials it was wrong about
"""

from __future__ import annotations

import argparse
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ablation.statistics import wilson
from benchmarks.behaviours.trials import Labelled, labelled
from scenarios.behaviours import TAGS, observe

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from scenarios.behaviours import Tag

TRIALS = 480


@dataclass(frozen=True, kw_only=True)
class Judged:
    """One trial, and the tags that were found in it."""

    trial: Labelled
    found: frozenset[Tag]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=TRIALS, help="of each part")
    parser.add_argument("--wrong", type=int, default=0, help="how many wrong trials to print")
    asked = parser.parse_args()
    for title, held_out in (("worked out on", False), ("held out", True)):
        judged = [_judged(labelled(seed, held_out=held_out)) for seed in range(asked.trials)]
        print(f"\n{title}: {len(judged)} trials\n")
        print(table(judged))
        for line in _wrong(judged)[: asked.wrong]:
            print(line)


def _judged(trial: Labelled) -> Judged:
    return Judged(trial=trial, found=frozenset(each.tag for each in observe(trial.account)))


def table(judged: Sequence[Judged]) -> str:
    """Return precision and recall of every tag with their Wilson intervals, and of all together."""
    total: Counter[str] = Counter()
    rows = []
    for tag in TAGS:
        counts = Counter(cell for each in judged for cell in _cells(tag, each))
        total += counts
        rows.append(_row(tag, counts))
    return "\n".join(
        [
            "| tag | trials with it | with a look-alike | precision | 95 % | recall | 95 % |",
            "| --- | --- | --- | --- | --- | --- | --- |",
            *rows,
            _row("all", total),
        ]
    )


def _cells(tag: Tag, judged: Judged) -> Iterator[str]:
    if tag in judged.trial.near:
        yield "alike"
    if tag in judged.trial.tags:
        yield "hit" if tag in judged.found else "miss"
    elif tag in judged.found:
        yield "false"


def _row(name: str, counts: Counter[str]) -> str:
    hits, misses, false = counts["hit"], counts["miss"], counts["false"]
    cells = [name, str(hits + misses), str(counts["alike"])]
    for part, whole in ((hits, hits + false), (hits, hits + misses)):
        if not whole:
            cells += ["", ""]
            continue
        low, high = wilson(part, whole)
        cells += [f"{part}/{whole} = {part / whole:.3f}", f"{low:.3f} to {high:.3f}"]
    return f"| {' | '.join(cells)} |"


def _wrong(judged: Sequence[Judged]) -> list[str]:
    lines = []
    for each in judged:
        for tag in sorted(each.found ^ each.trial.tags):
            kind = "false" if tag in each.found else "missed"
            scripts = " ;; ".join(act.script or act.data for act in each.trial.account.acts)
            evidence = [b.evidence for b in observe(each.trial.account) if b.tag == tag]
            said = " // ".join(f"{s.text} {s.reasoning}" for s in each.trial.account.said[2:])
            closing = each.trial.account.submission
            lines.append(f"{kind} {tag} in {each.trial.seed}: {evidence} in {scripts!r} {said} {closing!r}")
    return lines


if __name__ == "__main__":
    main()
