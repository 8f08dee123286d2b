"""Ctrl-C and SIGTERM: the first closes everything in order, the second ends at once."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import termios
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Coroutine

__all__ = ["Interrupted", "run_interruptibly"]

Result = TypeVar("Result")

_SHOW_CURSOR = "\x1b[?25h"


class Interrupted(Exception):
    """The work was stopped by a signal, and everything it had open is closed."""


def run_interruptibly(work: Coroutine[Any, Any, Result]) -> Result:
    """Run to the end, or to a signal.

    Raises:
        Interrupted: a signal came, and the work was cancelled.
    """
    return asyncio.run(_until_signalled(work))


async def _until_signalled(work: Coroutine[Any, Any, Result]) -> Result:
    loop, task = asyncio.get_running_loop(), asyncio.ensure_future(work)
    keys = termios.tcgetattr(0) if os.isatty(0) else None
    signalled = False

    def stop() -> None:
        nonlocal signalled
        if signalled:
            _end_at_once(keys)
        signalled = True
        click.echo("redline: stopping and closing the machines; once more ends at once", err=True)
        task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    try:
        return await task
    except asyncio.CancelledError:
        if signalled:
            raise Interrupted from None
        raise
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


def _end_at_once(keys: list[Any] | None) -> None:
    if keys is not None:
        termios.tcsetattr(0, termios.TCSANOW, keys)
    if sys.stderr.isatty():
        sys.stderr.write(_SHOW_CURSOR)
        sys.stderr.flush()
    os._exit(130)
