"""Writes the HTML report into a study's folder. Apart, because drawing plots takes a second to import."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ablation.report.html import render_html

if TYPE_CHECKING:
    from pathlib import Path

    from ablation.report import Report

__all__ = ["publish_html"]


def publish_html(report: Report, folder: Path) -> Path:
    """Write `report.html` and return where it is."""
    path = folder / "report.html"
    path.write_text(render_html(report), encoding="utf-8")
    return path
