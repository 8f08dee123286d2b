"""`redline drill`."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import orjson
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ablation import untrusted
from ablation.cli import catalogue
from ablation.cli.diagnostics import configure_diagnostics
from ablation.cli.faults import DONE, UNSOUND, Failure, Stopped, WrongUse, plain_faults
from ablation.cli.interrupts import Interrupted, run_interruptibly
from ablation.cli.nearest import did_you_mean
from ablation.cli.options import as_json, environment_option
from ablation.drill import every_attempt, furnish
from environments import Broken, Unavailable
from environments.drill import CLASSES, run_battery, small
from environments.drill.quiet import EVENTS, runs_without_its_runner
from environments.drill.standing import remember, time_to_quiet

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from environments import Provider
    from environments.drill import Attempt, Report, Tried
    from environments.drill.quiet import Quiet

__all__ = ["drill"]

_STYLES = {"held": "green", "out": "bold red", "declared": "yellow", "not tried": "dim"}


def _classes(_context: click.Context, _option: click.Parameter, names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if name not in CLASSES:
            hint = did_you_mean(name, CLASSES) or f"; there are {', '.join(CLASSES)}"
            raise WrongUse(f"there is no class of attempts {name!r}{hint}")
    return names


@click.command
@environment_option(default="sandbox")
@click.option(
    "--class",
    "-c",
    "classes",
    multiple=True,
    callback=_classes,
    metavar="CLASS",
    help="Only attempts of this class; may be given again. `--list` has them.",
)
@click.option(
    "--kill-switch/--no-kill-switch",
    default=None,
    help="Whether to measure how long until quiet when the runner is gone. "
    "[default: yes, unless classes are chosen]",
)
@click.option(
    "--repeat",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="How often, each time in another order.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of the order.")
@click.option("--list", "listing", is_flag=True, help="Say what would be tried, and try nothing.")
@as_json
@click.option(
    "--out",
    "-o",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Also write the result, as JSON, into this file.",
)
@click.pass_context
@plain_faults()
def drill(
    context: click.Context,
    /,
    *,
    environment: str,
    classes: tuple[str, ...],
    listing: bool,
    as_json: bool,
    out: Path | None,
    **how: Any,
) -> None:
    """Try to get out of a machine, and see that it ends when its runner does.

    Attempts aim at listeners, files and processes that the drill makes for itself on this host; they
    see what can be reached, what is permitted and how things are set. `out` must be 0. What this kind
    of machine cannot keep from happening, and says so, is counted as declared.

    How long it took until quiet is kept, and stands in the certificates of machines of this kind until
    the host is started anew.

    Exit status: 0 nothing got out, 1 something did or was left behind, 2 wrong use.

    \b
    Examples:
      redline drill
      redline drill --list
      redline drill --environment lab --class network --class filesystem --repeat 3
      redline drill --environment vm --no-kill-switch --out drill.json
    """  # noqa: D301 - \b is click's mark for text that is not to be wrapped
    configure_diagnostics()
    attempts = [one for one in every_attempt() if not classes or one.kind in classes]
    if listing:
        _list(attempts, as_json=as_json)
        context.exit(DONE)
    if how["kill_switch"] is None:
        how["kill_switch"] = not classes
    found = _Found(environment=environment)
    work = _drill(catalogue.environment(environment), attempts, found, **how)
    try:
        run_interruptibly(work)
    except Interrupted:
        raise Stopped("interrupted; nothing was kept") from None
    except Broken as fault:
        raise Failure(f"a machine failed the drill: {fault}") from fault
    text = orjson.dumps(found.fields(), option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_INDENT_2)
    if out is not None:
        out.write_bytes(text)
    if as_json:
        sys.stdout.buffer.write(text)
    else:
        _print(found, Console())
    context.exit(DONE if found.held else UNSOUND)


@dataclass(eq=False, kw_only=True)
class _Found:
    environment: str
    reports: list[Report] = field(default_factory=list)
    quiets: list[Quiet] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)
    """Events that could not be brought about, and why."""
    time_to_quiet: str = ""

    @property
    def held(self) -> bool:
        return all(report.held for report in self.reports) and all(quiet.held for quiet in self.quiets)

    def fields(self) -> dict[str, Any]:
        return {
            "ok": self.held,
            "environment": self.environment,
            "reports": [_report_fields(report) for report in self.reports],
            "kill_switch": [{**asdict(quiet), "ok": quiet.held} for quiet in self.quiets],
            "not_tried": self.missed,
            "time_to_quiet": self.time_to_quiet,
        }


def _report_fields(report: Report) -> dict[str, Any]:
    return {
        "seed": report.seed,
        "seconds": report.seconds,
        "classes": [asdict(tally) for tally in report.tally()],
        "attempts": [
            {
                "class": one.attempt.kind,
                "name": one.attempt.name,
                "outcome": one.outcome,
                "detail": untrusted.line(one.detail, limit=400),
                "seconds": one.seconds,
            }
            for one in report.tried
        ],
        "endings": [untrusted.line(each) for each in report.endings],
        "leaks": [untrusted.line(each) for each in report.leaks],
    }


async def _drill(
    provider: Provider,
    attempts: Sequence[Attempt],
    found: _Found,
    *,
    repeat: int,
    seed: int,
    kill_switch: bool,
) -> None:
    for each in range(seed, seed + repeat):
        tell = _progress(len(attempts), found.environment)
        found.reports.append(
            await run_battery(small(provider), attempts, seed=each, furnish=furnish, tell=tell)
        )
        if kill_switch:
            await _switch_off(provider, found)
    if found.quiets:
        await asyncio.to_thread(remember, provider.name, found.quiets)
        found.time_to_quiet = time_to_quiet(provider.name)


async def _switch_off(provider: Provider, found: _Found) -> None:
    screen = Console(stderr=True)
    for event, meaning in EVENTS.items():
        screen.print(f"kill switch: {meaning}", markup=False, highlight=False)
        try:
            found.quiets.append(await runs_without_its_runner(provider, event))
        except Unavailable as fault:
            if event == "killed":
                raise
            found.missed.append(untrusted.line(f"{event}: {fault}"))


def _progress(count: int, name: str) -> Callable[[Tried], None]:
    screen, done = Console(stderr=True), 0

    def show(tried: Tried) -> None:
        nonlocal done
        done += 1
        if tried.outcome == "out":
            said = untrusted.line(f"out: {tried.attempt.name}: {tried.detail}")
            screen.print(Text(said, style=_STYLES["out"]), soft_wrap=True)
        if screen.is_terminal or done == count:
            end = "\n" if done == count else "\r"
            screen.print(f"{name}: {done}/{count}", end=end, markup=False, highlight=False)

    return show


def _list(attempts: Sequence[Attempt], *, as_json: bool) -> None:
    if as_json:
        listed = [{"class": one.kind, "name": one.name, "tries": one.tries} for one in attempts]
        sys.stdout.buffer.write(orjson.dumps(listed, option=orjson.OPT_APPEND_NEWLINE))
        return
    console = Console()
    for kind in dict.fromkeys(one.kind for one in attempts):
        of_kind = [one for one in attempts if one.kind == kind]
        title = f"{kind} ({len(of_kind)})"
        table = Table(title=title, title_justify="left", title_style="bold", box=None, show_header=False)
        for one in of_kind:
            table.add_row(Text(one.name, style="cyan", no_wrap=True), Text(one.tries))
        console.print(table)


def _print(found: _Found, console: Console) -> None:
    for report in found.reports:
        _print_report(report, console)
    if found.quiets or found.missed:
        _print_switch(found, console)
    console.print("held" if found.held else "DID NOT HOLD", style="green" if found.held else "bold red")


def _print_report(report: Report, console: Console) -> None:
    title = f"{report.provider}, seed {report.seed} ({report.seconds:.0f} s)"
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for heading in ("class", "tried", "out", "declared", "not tried"):
        table.add_column(heading, justify="left" if heading == "class" else "right")
    for each in report.tally():
        cells = (each.tried, each.out, each.declared, each.not_tried)
        table.add_row(Text(each.kind, style="red" if each.out else ""), *(Text(str(cell)) for cell in cells))
    console.print(table)
    for outcome in ("out", "declared", "not tried"):
        for one in report.tried:
            if one.outcome == outcome:
                said = untrusted.line(f"{outcome}: {one.attempt.name}: {one.detail}", limit=400)
                console.print(Text(said, style=_STYLES[outcome]), soft_wrap=True)
    for what, sayings in (("ended its machine", report.endings), ("LEFT BEHIND", report.leaks)):
        for said in sayings:
            console.print(Text(untrusted.line(f"{what}: {said}", limit=400)), soft_wrap=True)


def _print_switch(found: _Found, console: Console) -> None:
    table = Table(title="kill switch", title_justify="left", title_style="bold", box=None, pad_edge=False)
    for heading in ("what happened", "quiet after", "nothing left after", "lease"):
        table.add_column(heading, justify="left" if heading == "what happened" else "right")
    for quiet in found.quiets:
        style = "" if quiet.held else "red"
        cells = (
            EVENTS[quiet.event],
            _seconds(quiet.seconds),
            _seconds(quiet.clean_s),
            f"{quiet.lease_s:.0f} s",
        )
        table.add_row(*(Text(cell, style=style) for cell in cells))
    console.print(table)
    for quiet in found.quiets:
        for left in quiet.left:
            console.print(
                Text(untrusted.line(f"LEFT BEHIND ({quiet.event}): {left}"), style="red"), soft_wrap=True
            )
    for missed in found.missed:
        console.print(Text(f"not tried: {missed}", style="dim"), soft_wrap=True)
    console.print(Text(f"certificates say: {found.time_to_quiet}"), soft_wrap=True)


def _seconds(value: float | None) -> str:
    return "never" if value is None else f"{value:.2f} s"
