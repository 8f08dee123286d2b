"""Says what a study is going to cost: in a line before it starts, or arm by arm in its place."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ablation.cli.limits import limit
from ablation.estimate import estimate_study
from ablation.record import read_log
from ablation.report.wording import amount
from ablation.runner import default_concurrency
from ablation.store import StudyFolder
from ablation.tally import in_money
from scaffold.models import price_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ablation.design import Study
    from ablation.estimate import ArmEstimate, Course, Estimate

__all__ = [
    "announce",
    "dry_run_options",
    "estimate_as_json",
    "estimated",
    "only_estimating",
    "print_estimate",
]

Decorated = TypeVar("Decorated", bound="Callable[..., Any]")

_NOT_KNOWN = "not known"


def dry_run_options(command: Decorated) -> Decorated:
    """Add the options that ask for an estimate in place of the study."""
    for option in (
        limit(
            "--like",
            type=click.Path(path_type=Path, exists=True, file_okay=False),
            metavar="DIR",
            help="Estimate from what the trials of this earlier study or pilot took; goes with --dry-run.",
        ),
        limit(
            "--dry-run",
            is_flag=True,
            help="Say what the study is and what it is going to cost, and run nothing.",
        ),
    ):
        command = option(command)
    return command


def only_estimating(options: Mapping[str, Any]) -> bool:
    """Return whether nothing is to be run.

    Raises:
        UsageError: a study to estimate by is given where one is to be run.
    """
    if options["like"] and not options["dry_run"]:
        raise click.UsageError("--like goes with --dry-run")
    return bool(options["dry_run"])


def estimated(study: Study, *, like: Path | None) -> Estimate:
    """Return what a study is going to cost, by an earlier one where there is one.

    Raises:
        FolderFault: there is no study in the folder.
    """
    if like is None:
        return estimate_study(study)
    folder = StudyFolder.load(like)
    return estimate_study(study, pilot=folder.records(), seconds=_seconds(folder))


def _seconds(folder: StudyFolder) -> dict[str, float]:
    """Return how long each finished trial took, its machine's opening and closing included, by the ledger."""
    began: dict[str, float] = {}
    took: dict[str, float] = {}
    for event in read_log(folder.ledger) if folder.ledger.exists() else ():
        if event["kind"] == "started":
            began[event["key"]] = event["at"]
        if event["kind"] == "ended" and event["key"] in began:
            took[event["key"]] = event["at"] - began[event["key"]]
    return took


def announce(study: Study, screen: Console) -> None:
    """Say in a line what the study is going to cost, if it costs anything or nobody knows."""
    subjects = {
        subject.name: price_of(subject) for arm in study.arms for subject in [arm.subject or study.subject]
    }
    unknown = [name for name, price in subjects.items() if not price.known]
    if unknown:
        names = ", ".join(unknown)
        line = f"cost not known: no price for {names} (--price IN,OUT, or 0,0 for a server of your own)"
    else:
        found = estimate_study(study)
        if not found.worst.money:
            return
        line = (
            f"by estimate {_money(found.typical, known=True)}, at most {_money(found.worst, known=True)}, "
            f"for {found.trials} trials (--dry-run says more)"
        )
    screen.print(line, markup=False, highlight=False, soft_wrap=True)


# ------------------------------------------------------------------ in full


def print_estimate(found: Estimate, *, concurrency: int | None) -> None:
    """Print an estimate arm by arm."""
    table = Table(title="What it is going to cost", title_justify="left", box=None, pad_edge=False)
    table.add_column("arm")
    for heading in (
        "trials",
        "calls",
        "prompt",
        "repeated",
        "answers",
        "cost",
        "if cached",
        "at most",
    ):
        table.add_column(heading, justify="right")
    for arm in found.arms:
        table.add_row(Text(arm.arm), *_cells(arm))
    table.add_row(
        Text("in total", style="bold"),
        str(found.trials),
        *_amounts(found.typical, found.worst, known=found.known),
        style="bold",
    )
    console = Console()
    console.print(table)
    for line in _notes(found, concurrency):
        console.print(line, markup=False, highlight=False, style="dim")


def _cells(arm: ArmEstimate) -> tuple[str, ...]:
    return (str(arm.trials), *_amounts(arm.typical, arm.worst, known=arm.known or not arm.worst.calls))


def _amounts(typical: Course, worst: Course, *, known: bool) -> tuple[str, ...]:
    tokens = (typical.calls, typical.prompt, typical.repeated, typical.completion)
    cached = in_money(typical.money_cached) if known else _NOT_KNOWN
    at_most = f"{amount(worst.tokens)} tokens" if not worst.money or not known else in_money(worst.money)
    return (*(amount(each) for each in tokens), _money(typical, known=known), cached, at_most)


def _money(course: Course, *, known: bool) -> str:
    return in_money(course.money) if known else _NOT_KNOWN


def _notes(found: Estimate, concurrency: int | None) -> list[str]:
    notes = [
        f"From {found.basis}.",
        (
            "Each call sends the conversation again, so prompts grow with the square of the calls; a "
            "server's prefix cache may hold what is repeated. Trials that are run again, because they "
            "could not be measured, are not in it."
        ),
    ]
    if spreads := [f"{arm.arm} {arm.spread:,.0f}" for arm in found.arms if arm.spread]:
        notes.append(f"Standard deviation of a trial's tokens in the earlier study: {', '.join(spreads)}.")
    if found.seconds is not None:
        at_once = concurrency or default_concurrency()
        wall = found.seconds / min(at_once, max(found.trials, 1))
        notes.append(f"About {_clock(wall)} with {at_once} at once, if they take as long as those.")
    if not found.known:
        notes.append("Some subject's price is not known: give --price IN,OUT or a table (--prices FILE).")
    return notes


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"


def estimate_as_json(found: Estimate) -> dict[str, Any]:
    """Return an estimate as data; money is null where a price is not known."""
    return {
        "basis": found.basis,
        "trials": found.trials,
        "typical": _course(found.typical, known=found.known),
        "worst": _course(found.worst, known=found.known),
        "machine_seconds": found.seconds,
        "arms": [
            {
                "name": arm.arm,
                "trials": arm.trials,
                "typical": _course(arm.typical, known=arm.known),
                "worst": _course(arm.worst, known=arm.known),
                "tokens_spread": arm.spread,
                "machine_seconds": arm.seconds,
            }
            for arm in found.arms
        ],
    }


def _course(course: Course, *, known: bool) -> dict[str, float | None]:
    told: dict[str, float | None] = {**asdict(course), "tokens": course.tokens}
    return told if known else {**told, "money": None, "money_cached": None}
