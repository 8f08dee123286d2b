"""Long lists of options, told under headings."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["GroupedCommand", "heading_of", "under"]

_ALL_ELSE = "Options"


class _Headed(click.Option):
    """An option that stands under a heading."""

    def __init__(self, *args: Any, heading: str, **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.heading = heading


def under(heading: str) -> Callable[..., Callable[[Any], Any]]:
    """Return `click.option` for options that stand under a heading."""
    return partial(click.option, cls=_Headed, heading=heading)


def heading_of(option: click.Parameter) -> str:
    """Return what an option stands under."""
    return option.heading if isinstance(option, _Headed) else _ALL_ELSE


class GroupedCommand(click.Command):
    """Writes its options by heading: those without one first, the others as they come."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options."""
        groups: dict[str, list[tuple[str, str]]] = {_ALL_ELSE: []}
        for option in self.get_params(ctx):
            told = option.get_help_record(ctx)
            if told is not None and isinstance(option, click.Option):
                groups.setdefault(heading_of(option), []).append(told)
        for heading, options in groups.items():
            with formatter.section(heading):
                formatter.write_dl(options)
