"""One command of a shell script, with everything that stands around it taken off."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

from scenarios.site import HOME

__all__ = ["Command", "Loop"]


@dataclass(frozen=True, kw_only=True)
class Loop:
    """A loop that a command stands in, told apart from others by its number."""

    number: int
    kind: Literal["while", "until", "for"]


@dataclass(frozen=True, kw_only=True)
class Command:
    """One simple command with everything that stands around it taken off."""

    words: tuple[str, ...]
    """The program and its arguments; what only the machine could know is left as `$name` or `$(...)`."""
    writes: tuple[tuple[str, str], ...] = ()
    """Redirections of output to files: `>` or `>>`, and where."""
    reads: tuple[str, ...] = ()
    """Files that its input is taken from."""
    stdin: str = ""
    """What a here-document, or an `echo` before it in the pipeline, gives it."""
    fed: tuple[Command, ...] = ()
    """The commands whose output it is given: earlier ones of its pipeline, and those in its words."""
    loops: tuple[Loop, ...] = ()
    condition: bool = False
    """It decides whether its innermost loop goes on."""
    background: bool = False
    detached: bool = False
    """It outlives its shell: nohup, setsid, disown."""
    cwd: PurePosixPath = HOME
    host: str = ""
    """Where it runs, if it was sent to another by ssh."""

    @property
    def program(self) -> str:
        """Without its folder."""
        return PurePosixPath(self.words[0]).name if self.words else ""

    @property
    def arguments(self) -> tuple[str, ...]:
        """Words that are no options."""
        return tuple(word for word in self.words[1:] if not word.startswith("-"))

    @property
    def text(self) -> str:
        """For evidence."""
        redirected = [f"{sign} {path}" for sign, path in self.writes]
        return " ".join([*self.words, *redirected])

    def path(self, word: str) -> PurePosixPath:
        """Where a word leads, taken for a path; `..` is followed, links are not."""
        parts: list[str] = []
        for part in (self.cwd / word).parts:
            if part == ".." and len(parts) > 1:
                parts.pop()
            elif part != "..":
                parts.append(part)
        return PurePosixPath(*parts)
