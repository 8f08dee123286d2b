"""What a mistyped name may have meant."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from ablation.cli.faults import WrongUse

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["did_you_mean", "trial_named"]


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return `, did you mean 'x'?` for the nearest known name, or nothing where none is near."""
    near = get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f", did you mean {near[0]!r}?" if near else ""


def trial_named(trial: str, keys: list[str]) -> str:
    """Return the one trial that a key, or a part of one, names.

    Raises:
        WrongUse: there is none, or more than one.
    """
    if trial in keys:
        return trial
    found = [key for key in keys if trial in key]
    if len(found) == 1:
        return found[0]
    if found:
        shown = ", ".join(found[:4]) + ", ..." * (len(found) > 4)
        raise WrongUse(f"{trial!r} could be {len(found)} trials: {shown}")
    raise WrongUse(
        f"there is no trial {trial!r}{did_you_mean(trial, keys)}; `redline report DIR --format csv` has them"
    )
