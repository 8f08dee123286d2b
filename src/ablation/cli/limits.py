"""Options that limit what all trials of a study, or of an arm, may spend."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import click

from ablation.cli.grouping import under

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ablation.spending import SpendLimits

__all__ = ["SPENDING", "limit", "limited", "spending_options"]

limit = under("Limits and cost")
Decorated = TypeVar("Decorated", bound="Callable[..., Any]")

SPENDING: Mapping[str, str] = {
    "money": "--max-study-cost",
    "tokens": "--max-study-tokens",
    "arm_money": "--max-arm-cost",
    "arm_tokens": "--max-arm-tokens",
}
"""Field of `SpendLimits` -> the option that sets it."""

_MEANT = {
    "money": "In the currency of the prices, for all trials and sittings: no trial begins that may pass it.",
    "tokens": "Likewise, prompt and completion together.",
    "arm_money": "Likewise, for each arm: the others go on.",
    "arm_tokens": "Likewise, for each arm.",
}


def spending_options(command: Decorated) -> Decorated:
    """Add the options that limit a study's spending."""
    for name, option in reversed(list(SPENDING.items())):
        kind = click.FloatRange(min=0, min_open=True) if name.endswith("money") else click.IntRange(min=1)
        command = limit(option, f"spending_{name}", type=kind, metavar="N", help=_MEANT[name])(command)
    return command


def limited(limits: SpendLimits, options: Mapping[str, Any]) -> SpendLimits:
    """Return limits with those in place that the options give."""
    return limits.changed(**{name: options[f"spending_{name}"] for name in SPENDING})
