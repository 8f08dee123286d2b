"""Shows where a running study stands: a live table on a terminal, a line now and then elsewhere."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, Protocol

from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ablation import untrusted
from ablation.tally import in_money

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from rich.console import Console, RenderableType

    from ablation.tally import Progress
    from ablation.types import Outcome

__all__ = ["Display", "watching"]

LINE_EVERY_S = 10.0

_STYLES: dict[Outcome, str] = {
    "success": "green",
    "failure": "red",
    "complied": "bright_cyan",
    "limit": "yellow",
    "refused": "magenta",
    "self_inflicted": "bright_red",
    "aborted": "blue",
    "canary": "bright_yellow",
    "void": "cyan",
    "leaked": "bold red",
}


class Display(Protocol):
    """Where progress is shown."""

    def show(self, progress: Progress) -> None:
        """Take the newest in; what a runner is to call."""
        ...

    def aside(self) -> AbstractContextManager[None]:
        """Leave the terminal to somebody else meanwhile."""
        ...


@contextmanager
def watching(console: Console, *, title: str) -> Iterator[Display]:
    """Yield the display that a runner is to tell its progress.

    Args:
        console: where to show it; standard error, so that results can be piped.
        title: the study's name.
    """
    if not console.is_terminal:
        yield _Lines(console=console, title=title)
        return
    screen = _Live(console=console, title=title)
    with screen.live:
        yield screen


@dataclass(kw_only=True)
class _Live:
    """A table that is drawn anew in its place."""

    console: Console
    title: str
    live: Live = field(init=False)

    def __post_init__(self) -> None:
        self.live = Live(console=self.console, refresh_per_second=4, transient=True)

    def show(self, progress: Progress) -> None:
        """Draw it anew."""
        self.live.update(_Screen(title=self.title, progress=progress, at=monotonic()))

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Take the table off the screen, and put it back below what came in between."""
        self.live.stop()
        try:
            yield
        finally:
            self.live.start(refresh=True)


@dataclass(frozen=True, kw_only=True)
class _Screen:
    """Progress as a renderable that keeps its clock going between two calls."""

    title: str
    progress: Progress
    at: float

    def __rich__(self) -> RenderableType:
        progress = self.progress
        since = monotonic() - self.at
        left = progress.seconds_left
        pace = 60 * (progress.done - progress.earlier) / max(progress.seconds + since, 1e-9)
        line = Text.assemble(
            (self.title, "bold"),
            f"  {progress.done}/{progress.total} done, {progress.running} running",
            f", {progress.tokens:,} tokens",
            _spending(progress),
            f", {pace:.1f} trials a minute",
            f", {_clock(progress.seconds + since)} so far",
            f", about {_clock(max(left - since, 0))} left" if left is not None else "",
        )
        bar = ProgressBar(total=max(progress.total, 1), completed=progress.done, width=60)
        rows = Table.grid()  # a bar ends no line by itself
        rows.add_row(line)
        rows.add_row(bar)
        for each in progress.held_back:
            rows.add_row(Text(untrusted.line(each, limit=200), style="dim"))
        rows.add_row(_by_arm(progress))
        return rows


def _spending(progress: Progress) -> str:
    """Say what was spent, in all sittings against the limit where there is one."""
    spent = progress.spent
    if spent is None:
        return f", {in_money(progress.cost)} spent" if progress.cost else ""
    parts = []
    if spent.most_money is not None:
        parts.append(f"{in_money(spent.money)} of {in_money(spent.most_money)} spent")
    if spent.most_tokens is not None:
        parts.append(f"{spent.tokens:,} of {spent.most_tokens:,} tokens spent")
    return "".join(f", {part}" for part in parts)


def _by_arm(progress: Progress) -> Table:
    shown: list[Outcome] = [
        outcome
        for outcome in _STYLES
        if outcome in {"success", "failure"}
        or any(counts.get(outcome) for counts in progress.outcomes.values())
    ]
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("arm")
    for outcome in shown:
        table.add_column(outcome.replace("_", "-"), justify="right", style=_STYLES[outcome])
    for arm, counts in progress.outcomes.items():
        table.add_row(Text(arm), *(str(counts.get(outcome, 0)) for outcome in shown))
    return table


@dataclass(kw_only=True)
class _Lines:
    """Prints a line at the start, at the end, and now and then between."""

    console: Console
    title: str
    due: float = 0.0

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Lines stand where they are."""
        yield

    def show(self, progress: Progress) -> None:
        """Print where the study stands, if it is time to."""
        if monotonic() < self.due and progress.done < progress.total:
            return
        self.due = monotonic() + LINE_EVERY_S
        left = progress.seconds_left
        successes = sum(counts.get("success", 0) for counts in progress.outcomes.values())
        line = (
            f"{self.title}: {progress.done}/{progress.total} done, {progress.running} running, "
            f"{successes} succeeded, {progress.tokens:,} tokens{_spending(progress)}"
        )
        line += f", about {_clock(left)} left" if left else ""
        line += "".join(f"; {untrusted.line(each, limit=200)}" for each in progress.held_back)
        self.console.print(line, markup=False, highlight=False, soft_wrap=True)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
