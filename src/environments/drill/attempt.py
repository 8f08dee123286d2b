"""What one attempt to get out is: a few lines of bash or Python, run through the agent's handle.

An attempt aims at what the drill has made for it and at nothing else. It is told where that is by environment
variables, and has a word of its own, so that whatever comes out says which attempt it was.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from environments.types import ExecResult

__all__ = ["CLASSES", "Attempt", "Class", "Fence", "Program", "bash", "python"]

Class = Literal[
    "network",
    "filesystem",
    "processes",
    "privileges",
    "kernel interfaces",
    "resources",
    "lease evasion",
    "log tampering",
    "spoofed output",
    "lineage forgery",
    "broker abuse",
]
CLASSES: tuple[Class, ...] = Class.__args__  # type: ignore[attr-defined]
Program = Literal["bash", "python3"]
Fence = Literal["memory", "processes", "cpu", "disk", "open files", "output"]

_PRELUDES: Mapping[Program, str] = {
    "bash": 'got() { echo "GOT $WORD $*"; }\nskip() { echo "UNTRIED $WORD $*"; exit; }\n',
    "python3": (
        "import ctypes, errno, os, signal, socket, sys, time\n"
        "E = os.environ; W = E['WORD']; libc = ctypes.CDLL(None, use_errno=True)\n"
        "def got(*what): print('GOT', W, *what, flush=True)\n"
        "def skip(*why): print('UNTRIED', W, *why, flush=True); os._exit(0)\n"
    ),
}

_COMMANDS: Mapping[Program, tuple[str, ...]] = {
    "bash": ("bash", "--norc", "-c"),
    "python3": ("python3", "-I", "-S", "-c"),
}


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One thing that is tried.

    Whatever an attempt is about, after it the drill looks at everything it has made: what its listeners
    heard, its files, its processes, the places where things start by themselves, and what was printed.
    """

    name: str
    kind: Class
    tries: str
    """One sentence, in the words of a reader who was not there."""
    program: Program
    text: str
    needs: tuple[str, ...] = ()
    """Programs without which it cannot be tried."""
    fence: Fence | None = None
    """The fence it runs against. Where the certificate says there is none, what comes of it is declared."""
    alone: bool = False
    """It may leave the machine unusable, so it comes last and on a machine of its own."""
    reaches_its_user: bool = False
    """It touches every process of its user, so it is not tried where that user is who runs the drill."""
    timeout_s: float = 10.0
    sign: Callable[[ExecResult], str] | None = None
    """What else tells that it got out: a word or two on what was seen, or nothing."""

    def argv(self, facts: Mapping[str, str], word: str) -> list[str]:
        """Return the command, as the agent would run it."""
        given = [f"{name}={value}" for name, value in {**facts, "WORD": word}.items()]
        return ["env", *given, *_COMMANDS[self.program], _PRELUDES[self.program] + self.text]


def bash(kind: Class, name: str, tries: str, text: str, **more: object) -> Attempt:
    """Return an attempt in bash: `got WHAT` says what was had, `skip WHY` why it cannot be tried."""
    return _attempt(kind, name, tries, "bash", text, more)


def python(kind: Class, name: str, tries: str, text: str, **more: object) -> Attempt:
    """Return an attempt in Python: `got(what)`, `skip(why)`; `E` is the environment, `W` its word."""
    return _attempt(kind, name, tries, "python3", text, more)


def _attempt(
    kind: Class, name: str, tries: str, program: Program, text: str, more: Mapping[str, object]
) -> Attempt:
    given: dict[str, object] = {"kind": kind, "name": name, "tries": tries, "program": program, **more}
    return Attempt(**given, text=inspect.cleandoc(text) + "\n")  # type: ignore[arg-type]
