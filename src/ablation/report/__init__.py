"""Reports of studies: one analysis, and a renderer for each place it is read.

The HTML renderer draws plots and so takes a second to import; it is reached as `ablation.report.html`.
"""

from ablation.report.build import build_report
from ablation.report.content import Report
from ablation.report.data import report_as_json, trials_as_csv
from ablation.report.markdown import render_markdown
from ablation.report.terminal import print_report

__all__ = [
    "Report",
    "build_report",
    "print_report",
    "render_markdown",
    "report_as_json",
    "trials_as_csv",
]
