"""`redline resume`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from ablation.cli.conduct import Sitting
from ablation.cli.faults import plain_faults
from ablation.cli.limits import limited, spending_options
from ablation.cli.options import as_json, study_folder
from ablation.cli.publishing import publish_html
from ablation.cli.requests import study_again
from ablation.spending import limits_noted
from ablation.store import StudyFolder

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["resume"]


@click.command
@study_folder
@click.option(
    "--concurrency", type=click.IntRange(min=1), help="Trials at once. [default: four a core, at most 16]"
)
@spending_options
@as_json
@click.pass_context
@plain_faults()
def resume(
    context: click.Context, /, folder: Path, *, concurrency: int | None, as_json: bool, **options: Any
) -> None:
    """Go on with a study that was stopped or killed.

    Finished trials stand; those that were running are set aside and run again; the rest follows in the
    order that was frozen when the study began. Refuses where the study would be another one by now.
    A study that stopped at a limit of what it may spend goes on under another.

    \b
    Examples:
      redline resume runs/my-study
      redline resume runs/my-study --max-study-cost 80
    """  # noqa: D301 - \b is click's mark for text that is not to be wrapped
    stored = StudyFolder.load(folder)
    study = study_again(stored)
    study = replace(study, spending=limited(limits_noted(stored) or study.spending, options))
    stored.refuse_other(study.freeze())
    sitting = Sitting(
        study=study,
        out=folder,
        origin=stored.origin,
        concurrency=concurrency,
        as_json=as_json,
        publish=publish_html if stored.origin.kind == "script" else None,
    )
    context.exit(sitting.conduct())
