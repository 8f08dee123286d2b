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
    "run_options",
    "study_folder",
    "subject_options",
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


study_folder = click.argument(
    "folder", metavar="DIR", type=click.Path(path_type=Path, exists=True, file_okay=False)
)


def _price(_context: click.Context, _option: click.Parameter, text: str | None) -> tuple[float, float] | None:
    if text is None:
        return None
    try:
        prompt, completion = (float(part) for part in text.split(","))
    except ValueError:
        raise click.BadParameter(f"{text!r} is not two numbers with a comma between") from None
    if not (0 <= prompt < float("inf") and 0 <= completion < float("inf")):
        raise click.BadParameter("a price is a number from 0 up")
    return prompt, completion


def subject_options(*, default: str | None) -> Callable[[Decorated], Decorated]:
    """Add the options that name a subject; without a default the model is optional."""
    instead = "" if default else " In place of the script's."

    def decorate(command: Decorated) -> Decorated:
        for option in reversed(
            (
                click.option(
                    "--model",
                    "-m",
                    default=default,
                    show_default=default is not None,
                    help=f"Subject: openai:NAME or simulated:PROFILE.{instead}",
                ),
                click.option(
                    "--base-url", help="Of an OpenAI-compatible API, for example http://HOST:PORT/v1."
                ),
                click.option(
                    "--tools",
                    type=click.Choice(["native", "text"]),
                    default="native",
                    show_default=True,
                    help="`text` for subjects that know no tool calls.",
                ),
                click.option(
                    "--price",
                    metavar="IN,OUT",
                    callback=_price,
                    help="Of a million prompt tokens and a million completion tokens, for example 0.5,1.5.",
                ),
                click.option(
                    "--request-timeout",
                    type=click.FloatRange(min=0, min_open=True),
                    default=120.0,
                    show_default=True,
                    help="Seconds for one request to the subject.",
                ),
                click.option(
                    "--request-attempts",
                    type=click.IntRange(min=1),
                    default=5,
                    show_default=True,
                    help="How often the subject is asked for one answer before its server has failed.",
                ),
                click.option(
                    "--requests-at-once",
                    type=click.IntRange(min=1),
                    help="Requests to the subject's server at a time, over all trials. [default: no limit]",
                ),
                click.option(
                    "--requests-per-minute",
                    type=click.IntRange(min=1),
                    help="Requests to the subject's server in any minute. [default: no limit]",
                ),
            )
        ):
            command = option(command)
        return command

    return decorate


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
