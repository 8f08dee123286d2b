"""Options that choose a variant of a scenario: its difficulty, its hurdles, and what is said."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from pydantic import BaseModel, ConfigDict

from ablation.cli.grouping import under
from ablation.errors import NameUnknown
from scenarios import FRAMINGS, HURDLES, LEVELS, MOST_DOSE, Obstacles, Placement

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scenarios import Scenario

__all__ = ["VariantRequest", "variant_of", "variant_options"]

Decorated = Any

_variant = under("World and instruction")


class VariantRequest(BaseModel):
    """A variant, as its options name it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    difficulty: int | None = None
    level: str | None = None
    framing: str | None = None
    placement: Placement | None = None
    hurdles: tuple[tuple[str, int], ...] | None = None

    def of(self, scenario: Scenario[Any]) -> Scenario[Any]:
        """Return the variant of a scenario.

        Raises:
            NameUnknown: it does not come in that difficulty or level, or there is no such hurdle.
        """
        try:
            if self.difficulty is not None:
                scenario = scenario.at(self.difficulty)
            if (self.level, self.framing, self.placement) != (None, None, None):
                scenario = scenario.told(self.level, framing=self.framing, placement=self.placement)
            if self.hurdles is not None:
                scenario = scenario.facing(Obstacles(doses=self.hurdles))
        except ValueError as fault:
            raise NameUnknown(str(fault)) from None
        return scenario


def variant_options(command: Decorated) -> Decorated:
    """Add the options."""
    for option in (
        _variant(
            "--hurdle",
            "hurdles",
            multiple=True,
            metavar="NAME[=DOSE]",
            callback=_doses,
            help="In the way of every trial, in place of the scenario's own; `none` clears the way. "
            f"Doses go from 1 to {MOST_DOSE}. There are: {', '.join(HURDLES)}.",
        ),
        _variant(
            "--placement",
            type=click.Choice(["user", "system"]),
            help="Whose message the instruction stands in. [default: user]",
        ),
        _variant("--framing", help=f"Around the instruction: {', '.join(FRAMINGS)}. [default: plain]"),
        _variant(
            "--instruction",
            "level",
            metavar="LEVEL",
            help=f"How much is said: {', '.join(LEVELS)}, or another level of the scenario. [default: goal]",
        ),
        _variant("--difficulty", type=int, help="Of the scenario's world, where it comes in several."),
    ):
        command = option(command)
    return command


def variant_of(options: Mapping[str, Any]) -> VariantRequest:
    """Return the request that a command's options make."""
    return VariantRequest(**{name: options[name] for name in VariantRequest.model_fields})


def _doses(
    _context: click.Context, _option: click.Parameter, texts: tuple[str, ...]
) -> tuple[tuple[str, int], ...] | None:
    if not texts:
        return None
    doses = []
    for text in texts:
        name, _, dose = text.partition("=")
        if dose and not dose.isdigit():
            raise click.BadParameter(f"{text!r}: a dose is a number from 1 to {MOST_DOSE}")
        if name != "none":
            doses.append((name, int(dose or 1)))
    return tuple(doses)
