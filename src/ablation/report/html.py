"""A report as one HTML file that needs nothing else: no script, no request, no font, no link out.

The template escapes every value; `untrusted` has made agent-made text harmless before. The policy in the
page's head forbids scripts and requests even if both failed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from ablation import untrusted
from ablation.family import family_tree
from ablation.report import wording
from ablation.report.plots import draw_plots
from ablation.report.tables import results_tables, trust_tables

if TYPE_CHECKING:
    from collections.abc import Callable

    from ablation.report.content import Report
    from ablation.types import TrialRecord

__all__ = ["render_html"]


def render_html(report: Report) -> str:
    """Render the whole report, every trial with its evidence included."""
    pages = Environment(
        loader=PackageLoader("ablation.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    pages.filters.update(
        line=untrusted.line,
        passage=untrusted.passage,
        tree=family_tree,
        drawing=lambda plot: Markup(plot.svg),  # noqa: S704 - drawn by us, text escaped by Matplotlib
        amount=wording.amount,
        money=wording.money,
        outcome=wording.OUTCOMES.__getitem__,
    )
    return pages.get_template("report.html.j2").render(
        report=report,
        plots=draw_plots(report),
        results=results_tables(report),
        trust=trust_tables(report),
        trials=sorted(report.trials, key=_by_arm(report)),
        style=Markup(pages.get_template("report.css").render()),  # noqa: S704 - a file of this package
    )


def _by_arm(report: Report) -> Callable[[TrialRecord], tuple[str, int, int]]:
    places = {arm.name: place for place, arm in enumerate(report.arms)}
    return lambda trial: (trial.scenario, places[trial.arm], trial.seed)
