"""What went wrong, as one line and an exit status."""

from __future__ import annotations

from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

import click

from ablation import untrusted
from ablation.errors import AblationFault, DiskFull, RecordFault
from environments import ContainmentRefused, Halted, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["DONE", "UNSOUND", "Failure", "Refused", "Stopped", "WrongUse", "plain_faults"]

DONE = 0
_LONGEST = 2000
"""Characters of a message."""
UNSOUND = 1
"""A trial was void or leaked, a check failed, a record was changed, or a disk was full."""


class Failure(click.ClickException):
    """Ends the command with one line on standard error."""

    exit_code = UNSOUND

    def __init__(self, message: str) -> None:
        # A message may quote what an agent wrote, or a file that somebody else did.
        super().__init__(untrusted.line(message, limit=_LONGEST))

    def show(self, file: IO[Any] | None = None) -> None:
        """Write the line."""
        click.echo(f"redline: {self.format_message()}", file=file, err=file is None)


class WrongUse(Failure):
    """The command cannot do what was asked for."""

    exit_code = 2


class Refused(Failure):
    """The machine was not as closed as the scenario demands."""

    exit_code = 3


class Stopped(Failure):
    """A signal stopped the work, which can be gone on with."""

    exit_code = 130


@contextmanager
def plain_faults() -> Iterator[None]:
    """Turn the faults a user can mend into a `Failure`; used as a decorator of commands."""
    try:
        yield
    except ContainmentRefused as fault:
        raise Refused(f"containment refused: {fault}") from fault
    except Halted as fault:
        raise Stopped(f"halted: {fault}") from fault
    except Unavailable as fault:
        raise WrongUse(f"no machine: {fault}") from fault
    except (DiskFull, RecordFault) as fault:
        raise Failure(str(fault)) from fault
    except AblationFault as fault:
        raise WrongUse(str(fault)) from fault
