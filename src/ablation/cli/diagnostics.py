"""Diagnostics: structured lines on standard error, warnings and above unless told."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any

import click
import structlog

from ablation import untrusted

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping

__all__ = ["configure_diagnostics", "inert"]


def inert(_logger: object, _method: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """Make values harmless: they may hold text from an agent, and logfmt escapes no more than quotes."""
    return {
        name: untrusted.line(str(value), limit=1000) if isinstance(value, str | BaseException) else value
        for name, value in event.items()
    }


def configure_diagnostics() -> None:
    """Send diagnostics to standard error, as verbosely as `redline --verbose` says."""
    verbose = bool(click.get_current_context().find_root().obj)
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG if verbose else logging.WARNING),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False),
            inert,
            structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"]),
        ],
        # Looked up for each logger: a host program may put another standard error in place.
        logger_factory=lambda *_: structlog.PrintLogger(file=sys.stderr),
    )
