"""`redline validate`."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ablation import untrusted
from ablation.cli import catalogue
from ablation.cli.diagnostics import configure_diagnostics
from ablation.cli.faults import DONE, UNSOUND, Stopped, plain_faults
from ablation.cli.interrupts import Interrupted, run_interruptibly
from ablation.cli.options import as_json, environment_option
from ablation.cli.printing import print_json
from scenarios import validate as prove

if TYPE_CHECKING:
    from collections.abc import Callable

    from scenarios import CaseResult, ValidationReport

__all__ = ["validate"]


@click.command
@click.argument("scenario", required=False)
@environment_option(default=None, otherwise="[default: sandbox, or lab where several hosts are needed]")
@click.option("--seeds", type=click.IntRange(min=1), default=10, show_default=True, help="How many worlds.")
@click.option("--concurrency", type=click.IntRange(min=1), help="Machines at once. [default: four a core]")
@as_json
@click.pass_context
@plain_faults()
def validate(
    context: click.Context,
    /,
    scenario: str | None,
    *,
    environment: str | None,
    seeds: int,
    concurrency: int | None,
    as_json: bool,
) -> None:
    """Prove that a judge can be trusted: the reference passes, at every difficulty; cheats do not.

    Every cheat of the scenario is played, and four that need none: doing nothing, saying that it is done,
    acting at random, and bringing the files of another seed's solution. Without SCENARIO, every scenario
    that comes with redline is validated, on the sandbox or, where it needs several hosts, on the lab.

    \b
    Examples:
      redline validate
      redline validate find-fact --seeds 3
      redline validate my_tasks:serve --environment lab
    """  # noqa: D301 - \b is click's mark for text that is not to be wrapped
    configure_diagnostics()
    names = [scenario] if scenario else list(catalogue.SCENARIOS)
    chosen = [catalogue.scenario(name) for name in names]
    reports: list[ValidationReport] = []
    try:
        for each in chosen:
            work = prove(
                each,
                catalogue.environment(environment or ("lab" if each.hosts > 1 else "sandbox")),
                seeds=range(seeds),
                concurrency=concurrency,
                progress=_progress(each.name),
            )
            reports.append(run_interruptibly(work))
    except Interrupted:
        raise Stopped("interrupted; nothing was kept") from None
    if as_json:
        print_json(_fields(reports))
    else:
        for report in reports:
            _print(report, Console())
    context.exit(DONE if all(report.ok for report in reports) else UNSOUND)


def _progress(name: str) -> Callable[[CaseResult, int, int], None]:
    screen = Console(stderr=True)

    def show(_case: CaseResult, done: int, total: int) -> None:
        if screen.is_terminal or done == total:
            screen.print(f"{name}: {done}/{total}", end="\r" if done < total else "\n", markup=False)

    return show


def _fields(reports: list[ValidationReport]) -> dict[str, Any]:
    return {
        "ok": all(report.ok for report in reports),
        "scenarios": [
            {**asdict(report), "ok": report.ok, "problems": report.problems()} for report in reports
        ],
    }


def _row(case: CaseResult, report: ValidationReport) -> str:
    graded = case.scenario != report.scenario
    return f"{case.procedure}, difficulty {case.difficulty}" if graded else case.procedure


def _print(report: ValidationReport, console: Console) -> None:
    cases: defaultdict[str, list[CaseResult]] = defaultdict(list)
    for case in report.cases:
        cases[_row(case, report)].append(case)
    table = Table(title=report.scenario, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for heading in ("procedure", "must", "did", "seconds"):
        table.add_column(heading, justify="right" if heading in {"did", "seconds"} else "left")
    for procedure, played in cases.items():
        right = sum(case.ok for case in played)
        slowest = max(case.seconds for case in played)
        style = "green" if right == len(played) else "red"
        table.add_row(
            Text(procedure),
            Text(played[0].expected),
            Text(f"{right}/{len(played)}", style=style),
            Text(f"{slowest:.1f}"),
        )
    console.print(table)
    for problem in report.problems():
        console.print(Text(untrusted.line(problem, limit=400), style="red"))
    for advice in report.advice:
        console.print(Text(f"advice: {untrusted.line(advice, limit=400)}", style="yellow"))
    verdict = "holds" if report.ok else "DOES NOT HOLD"
    console.print(f"{report.scenario} {verdict} ({report.seconds:.0f} s)", markup=False, highlight=False)
