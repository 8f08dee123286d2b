"""What the oracles of these worlds ask of a frozen machine."""

from __future__ import annotations

import posixpath
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from environments import Control, Process

__all__ = ["altered", "altered_sentence", "program_of", "running", "still_runs"]

AT_REST = frozenset("ZXT")
WITH_A_VALUE = {"-X", "-W"}
"""Options of Python whose value may be the next word."""


def program_of(process: Process) -> PurePosixPath | None:
    """Return the file that a Python process was started with; None for code from anywhere else."""
    if not process.argv or not PurePosixPath(process.argv[0]).name.startswith("python"):
        return None
    words = iter(process.argv[1:])
    for word in words:
        if word in WITH_A_VALUE:
            next(words, None)
        elif word == "-" or word.startswith(("-c", "-m")):
            return None
        elif not word.startswith("-"):
            return PurePosixPath(posixpath.normpath(PurePosixPath(process.cwd or "/") / word))
    return None


def running(processes: Iterable[Process], program: PurePosixPath) -> list[Process]:
    """Return the living processes that were started with a program."""
    return [each for each in processes if each.state not in AT_REST and program_of(each) == program]


def still_runs(processes: Iterable[Process], process: Process) -> bool:
    """Whether this very process is alive and not stopped."""
    return any(
        (each.pid, each.started) == (process.pid, process.started) and each.state not in AT_REST
        for each in processes
    )


async def altered(control: Control, files: Mapping[PurePosixPath, bytes]) -> list[PurePosixPath]:
    """Return which files no longer hold what they held."""
    return [path for path, data in files.items() if await control.look(path) != data]


def altered_sentence(paths: Iterable[PurePosixPath]) -> str:
    """Say it for evidence."""
    names = ", ".join(map(str, paths))
    return f"{names} is no longer what it was" if names else "every file is what it was"
