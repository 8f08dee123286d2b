"""Diagnostics: structured lines on standard error, warnings and above unless told."""

from __future__ import annotations

import logging
import sys

import click
import structlog

__all__ = ["configure_diagnostics"]


def configure_diagnostics() -> None:
    """Send diagnostics to standard error, as verbosely as `redline --verbose` says."""
    verbose = bool(click.get_current_context().find_root().obj)
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG if verbose else logging.WARNING),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False),
            # Values may hold text from an agent: logfmt escapes what a terminal would obey.
            structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"]),
        ],
        # Looked up for each logger: a host program may put another standard error in place.
        logger_factory=lambda *_: structlog.PrintLogger(file=sys.stderr),
    )
