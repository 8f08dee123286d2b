"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "as_json",
    "environment_option",
    "reply_cache_option",
    "run_options",
    "study_folder",
]

Decorated = TypeVar("Decorated", bound="Callable[..., Any]")

as_json = click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="One JSON object on standard output; all else goes to standard error.",
)


def environment_option(
    *, default: str | None, otherwise: str = "In place of the script's."
) -> Callable[[Decorated], Decorated]:
    """Add the option that names a kind of machine; `otherwise` says what holds where it has no default."""
    instead = "" if default else f" {otherwise}"
    return click.option(
        "--environment",
        "-e",
        default=default,
        show_default=default is not None,
        help="Kind of machine: a name from `redline list environments`, ssh://USER@HOST:PORT, "
        f"a hosts file, or module:attribute.{instead}",
    )


reply_cache_option = click.option(
    "--reply-cache",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False, resolve_path=True),
    help="Keep the subject's answers there, and give them again where the same is asked under the same "
    "seed: asked once, paid once. Never for a subject that takes no seed. [default: every call is made]",
)

study_folder = click.argument(
    "folder", metavar="DIR", type=click.Path(path_type=Path, exists=True, file_okay=False)
)


def run_options(command: Decorated) -> Decorated:
    """Add the options that say where a study goes and how many trials run at once."""
    for option in (
        as_json,
        click.option(
            "--concurrency",
            type=click.IntRange(min=1),
            help="Trials at once. [default: four a core, at most 16]",
        ),
        click.option(
            "--out",
            "-o",
            type=click.Path(path_type=Path, file_okay=False),
            help="The study's folder. [default: runs/NAME-TIME]",
        ),
    ):
        command = option(command)
    return command
