"""Keeps the study's own programs and agents off one another's loopback interface.

A model server listens on the loopback interface of its host, for the runner alone. An agent on the same host
would reach it past the broker, so whichever of the two comes second is refused.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from environments.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["TELL_LOOPBACK", "sharing"]

Party = Literal["a program of the study's own", "an agent"]
TELL_LOOPBACK = ("sh", "-c", "cat /proc/sys/kernel/random/boot_id && readlink /proc/self/ns/net")
"""Prints which loopback interface there is: that of one network of one kernel since it was booted."""
_present: list[tuple[str, Party]] = []


@contextmanager
def sharing(loopback: str, party: Party, *, place: str) -> Iterator[None]:
    """Be there for as long as the context is open.

    Args:
        loopback: what `TELL_LOOPBACK` printed.
        party: who comes.
        place: names the host in messages.

    Raises:
        Unavailable: the other party is there.
    """
    there = {other for where, other in _present if where == loopback}
    if others := there - {party}:
        raise Unavailable(
            f"{place}: {others.pop()} is there already, and {party} would share its loopback interface",
            mend="let agents act on other hosts than the study's own programs run on",
        )
    entry = (loopback, party)
    _present.append(entry)
    try:
        yield
    finally:
        _present.remove(entry)
