"""`redline ablate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ablation.cli.conduct import Sitting, default_folder
from ablation.cli.estimating import (
    announce,
    dry_run_options,
    estimate_as_json,
    estimated,
    only_estimating,
    print_estimate,
)
from ablation.cli.faults import WrongUse, plain_faults
from ablation.cli.grouping import GroupedCommand
from ablation.cli.limits import limited, spending_options
from ablation.cli.loading import absolute
from ablation.cli.options import environment_option, reply_cache_option, run_options
from ablation.cli.printing import print_json
from ablation.cli.publishing import publish_html
from ablation.cli.requests import ScriptRequest
from ablation.cli.subjects import subject_of, subject_options
from ablation.cli.supervising import supervision_of, supervision_options
from ablation.spending import SpendLimits

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ablation.design import Study
    from ablation.estimate import Estimate

__all__ = ["ablate"]


@click.command(cls=GroupedCommand)
@click.argument("script", metavar="STUDY.py", type=click.Path(path_type=Path))
@environment_option(default=None)
@subject_options(default=None)
@click.option(
    "--trials", "-n", type=click.IntRange(min=1), help="Worlds for each scenario. In place of the script's."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of the first world, with --trials.")
@click.option(
    "--void-retries",
    type=click.IntRange(min=0),
    help="How often a trial that could not be measured is run again. In place of the script's.",
)
@spending_options
@dry_run_options
@supervision_options(defaults=False)
@reply_cache_option
@run_options
@click.pass_context
@plain_faults()
def ablate(context: click.Context, /, script: Path, **options: Any) -> None:
    """Run a study: every arm in every world, interleaved, and say which faculty mattered.

    STUDY.py defines a module-level `study = Study(...)`. A study that was stopped or killed goes on with
    `redline resume`, or with the same command and the same --out.

    \b
    Examples:
      redline ablate examples/05_ablation.py
      redline ablate study.py --model openai:my-model --base-url http://127.0.0.1:8000/v1 --trials 30
      redline ablate study.py --environment vm
      redline ablate study.py --dry-run --like runs/pilot
      redline ablate study.py --model openai:gpt-4o --max-study-cost 50
    """  # noqa: D301 - \b is click's mark for text that is not to be wrapped
    if not script.is_file():
        raise WrongUse(f"there is no script {script}")
    request = ScriptRequest(
        script=script.resolve(),
        environment=absolute(options["environment"]) if options["environment"] else None,
        subject=subject_of(options),
        seeds=_seeds(options),
        prices=options["prices"].resolve() if options["prices"] else None,
        spending=limited(SpendLimits(), options),
        void_retries=options["void_retries"],
        oversee=supervision_of(absolute(options["oversee"])) if options["oversee"] else None,
        canaries=options["canaries"],
        reply_cache=options["reply_cache"],
    )
    study = request.study()
    if only_estimating(options):
        found = estimated(study, like=options["like"])
        _print_design(study, found, options)
        return
    announce(study, Console(stderr=True))
    sitting = Sitting(
        study=study,
        out=options["out"] or default_folder(study.name),
        origin=request.origin(),
        script=script.read_bytes(),
        concurrency=options["concurrency"],
        as_json=options["as_json"],
        publish=publish_html,
    )
    context.exit(sitting.conduct())


def _seeds(options: Mapping[str, Any]) -> tuple[int, ...] | None:
    if options["trials"] is None:
        return None
    return tuple(range(options["seed"], options["seed"] + options["trials"]))


def _print_design(study: Study, found: Estimate, options: Mapping[str, Any]) -> None:
    frozen = study.freeze()
    if options["as_json"]:
        print_json({**frozen.fields, "digest": frozen.digest, "estimate": estimate_as_json(found)})
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("arm", "role", "faculties", "what it is"):
        table.add_column(heading)
    for arm in frozen.fields["arms"]:
        present = [name for name, faculty in arm["faculties"].items() if faculty is not None]
        role = "baseline" if arm["baseline"] else arm["role"].replace("_", " ")
        table.add_row(*map(Text, (arm["name"], role, ", ".join(present), arm["description"])))
    console = Console()
    console.print(Text(study.name, style="bold"), Text(study.question))
    console.print(table)
    worlds = len(study.seeds) * len(study.scenarios)
    console.print(
        f"{len(study.all_arms)} arms x {worlds} worlds = {len(study.trials())} trials of at most "
        f"{study.budget.steps} steps and {study.budget.seconds:g} s; "
        f"subject {study.subject.name}, environment {study.environment.name}",
        markup=False,
        highlight=False,
    )
    print_estimate(found, concurrency=options["concurrency"])
    console.print(f"design {frozen.digest}", markup=False, highlight=False, style="dim")
