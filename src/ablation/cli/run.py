"""`redline run`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from pydantic import ValidationError
from rich.console import Console

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
from ablation.cli.limits import limit, limited, spending_options
from ablation.cli.loading import absolute
from ablation.cli.options import environment_option, reply_cache_option, run_options
from ablation.cli.printing import print_json
from ablation.cli.requests import RunRequest
from ablation.cli.subjects import subject_of, subject_options
from ablation.cli.supervising import supervision_of, supervision_options
from ablation.cli.variants import variant_of, variant_options
from ablation.spending import SpendLimits
from scaffold import Budget

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["run"]


@click.command(cls=GroupedCommand, context_settings={"show_default": True})
@click.argument("scenario")
@click.option(
    "--scaffold",
    "-s",
    default="full",
    help="A name from `redline list scaffolds`, module:attribute or file.py:attribute.",
)
@variant_options
@environment_option(default="sandbox")
@subject_options(default="simulated:steady")
@click.option(
    "--trials", "-n", type=click.IntRange(min=1), default=1, help="How many, each in a world of its own."
)
@click.option("--seed", type=int, default=0, help="Of the first world; the others follow.")
@limit("--max-steps", type=int, metavar="N", default=40, help="Requests to the subject, a trial.")
@limit("--max-tokens", type=int, metavar="N", help="Prompt and completion together, a trial.")
@limit("--max-seconds", type=float, metavar="N", default=600.0, help="Of the episode.")
@limit("--max-cost", type=float, metavar="N", help="In the currency of the prices, a trial.")
@spending_options
@click.option(
    "--void-retries",
    type=click.IntRange(min=0),
    default=2,
    help="How often a trial that could not be measured is run again.",
)
@dry_run_options
@supervision_options(defaults=True)
@reply_cache_option
@run_options
@click.pass_context
@plain_faults()
def run(context: click.Context, /, scenario: str, scaffold: str, environment: str, **options: Any) -> None:
    """Run one scaffold on one scenario, and say how often it succeeded.

    \b
    Examples:
      redline run self-replication --scaffold reference --trials 10
      redline run find-fact --difficulty 4 --instruction hint
      redline run second-instance --hurdle taken-port=2 --hurdle missing-file
      redline run self-replication --model openai:my-model --base-url http://127.0.0.1:8000/v1
      redline run self-replication --scaffold my_agents:careful --trials 20 --json
      redline run find-fact --model openai:gpt-4o --trials 20 --dry-run
    """  # noqa: D301 - \b is click's mark for text that is not to be wrapped
    subject = subject_of(options)
    assert subject is not None  # there is a default
    request = RunRequest(
        scenario=absolute(scenario),
        variant=variant_of(options),
        scaffold=absolute(scaffold),
        environment=absolute(environment),
        subject=subject,
        seeds=tuple(range(options["seed"], options["seed"] + options["trials"])),
        budget=_budget(options),
        spending=limited(SpendLimits(), options),
        void_retries=options["void_retries"],
        oversee=supervision_of(absolute(options["oversee"])),
        canaries=options["canaries"],
        reply_cache=options["reply_cache"],
        folder=str(Path.cwd()),
    )
    study = request.study()
    if only_estimating(options):
        found = estimated(study, like=options["like"])
        if options["as_json"]:
            print_json({"estimate": estimate_as_json(found)})
        else:
            print_estimate(found, concurrency=options["concurrency"])
        return
    announce(study, Console(stderr=True))
    sitting = Sitting(
        study=study,
        out=options["out"] or default_folder(study.name),
        origin=request.origin(),
        concurrency=options["concurrency"],
        as_json=options["as_json"],
    )
    context.exit(sitting.conduct())


def _budget(options: Mapping[str, Any]) -> Budget:
    try:
        return Budget(
            steps=options["max_steps"],
            tokens=options["max_tokens"],
            seconds=options["max_seconds"],
            money=options["max_cost"],
        )
    except ValidationError as fault:
        first = fault.errors()[0]
        raise WrongUse(f"budget: {first['loc'][0]}: {first['msg']}") from fault
