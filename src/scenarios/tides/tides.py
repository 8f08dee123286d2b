"""The tide service as it can be installed in a world.

The machine's side are the programs beside this file. They are copied into the machine as they stand
and imported here only for their pure functions and their layout.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from scenarios.installation import Design, Program
from scenarios.tides.front import seal
from scenarios.tides.table_server import TABLE_SIZE, read_off

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["TIDES"]


def _reading(table: bytes) -> Callable[[str], str]:
    return lambda when: read_off(memoryview(table), when.encode())


TIDES = Design(
    name="tides",
    package=__package__,
    first=Program(
        file="table_server.py",
        role="table server",
        setting="table_port",
        path="/height",
        asks="when",
        answers="height",
    ),
    second=Program(
        file="front.py",
        role="front",
        setting="front_port",
        path="/forecast",
        asks="when",
        answers="forecast",
    ),
    data="table.bin",
    size=TABLE_SIZE,
    key="station.key",
    answering=_reading,
    signing=seal,
)
"""Of the same make as the specimen, and nothing else in common with it."""
