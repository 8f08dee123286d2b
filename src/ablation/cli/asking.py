"""A person in the terminal who is asked about tool calls: one call at a time, every character shown."""

from __future__ import annotations

import asyncio
import os
import sys
import termios
import tty
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.padding import Padding
from rich.text import Text

from ablation import untrusted
from scaffold.oversight import Decision, abort, allow, deny

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from rich.console import Console

    from scaffold import ToolCall, View
    from scaffold.oversight import Reach

__all__ = ["PersonAtTerminal", "terminal_to_ask_at"]

_SHOWN = 24
"""Lines of an argument that are shown until the whole is asked for."""
_KEYS = "[y] allow  [n] deny  [s] allow this step's calls  [a] allow all from now on  [q] abort the trial"
_REACHES: dict[bytes, Reach] = {b"y": "call", b"s": "step", b"a": "rest"}
_ENDS_INPUT = {b"", b"\x04"}


def terminal_to_ask_at() -> int | None:
    """Return the descriptor of standard input, where it and standard error are a terminal; None otherwise."""
    return 0 if os.isatty(0) and sys.stderr.isatty() else None


@dataclass(frozen=True, kw_only=True)
class PersonAtTerminal:
    """Shows a call and waits for a key. Fulfils `Supervisor`.

    Args:
        console: where calls are shown; a terminal.
        keys: descriptor that keys are read from; a terminal.
        aside: stops the live display for as long as something is asked.
    """

    console: Console
    keys: int
    aside: Callable[[], AbstractContextManager[None]]

    async def __call__(self, call: ToolCall, view: View, /) -> Decision:
        """Ask about a call. The end of the input counts as an abort: nobody is there any more."""
        with self.aside():
            self._show(call, view, whole=False)
            decision = None
            while decision is None:
                decision = await self._answer(call, view)
            self._print(
                Text(f"  {decision.verb}{f': {decision.reason}' if decision.reason else ''}", style="dim")
            )
            return decision

    async def _answer(self, call: ToolCall, view: View) -> Decision | None:
        with self._raw():
            key = await self._read(1)
        match key.lower():
            case b"y" | b"s" | b"a" as letter:
                return allow(by="person", reach=_REACHES[letter])
            case b"n":
                return deny(await self._line("why? (the agent is told) "), by="person")
            case b"q":
                return abort(await self._line("why? (for the record) "), by="person")
            case b"v":
                self._show(call, view, whole=True)
            case key if key in _ENDS_INPUT:
                return abort("the terminal was closed", by="person")
            case _:
                self._print(Text(f"  {_KEYS}  [v] show it whole", style="yellow"))
        return None

    def _show(self, call: ToolCall, view: View, *, whole: bool) -> None:
        trial, tool = untrusted.line(view.trial), untrusted.spelled(call.name)
        self._print(Text.assemble("\n", (trial, "bold"), f" step {view.step} wants ", (tool, "bold")))
        cut = False
        for name, value in call.arguments.items():
            self._print(Text(f"  {untrusted.spelled(str(name))}:", style="dim"))
            lines = untrusted.spelled(value if isinstance(value, str) else repr(value)).split("\n")
            if not whole and len(lines) > _SHOWN:
                cut = True
                left = len(lines) - _SHOWN
                lines = [*lines[: _SHOWN - 6], f"… {left} more lines …", *lines[-6:]]
            for line in lines:
                self.console.print(Padding(Text(line), (0, 0, 0, 4), expand=False))
        self._print(Text(f"  {_KEYS}{'  [v] show it whole' if cut else ''}", style="yellow"))

    def _print(self, text: Text) -> None:
        self.console.print(text)

    async def _line(self, prompt: str) -> str:
        self.console.print(Text(f"  {prompt}"), end="")
        typed = await self._read(4096)
        return untrusted.line(typed.decode(errors="replace"))

    async def _read(self, most: int) -> bytes:
        """Wait for input without holding up the trials that go on meanwhile."""
        loop, ready = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self.keys, ready.set)
        try:
            await ready.wait()
        finally:
            loop.remove_reader(self.keys)
        try:
            return os.read(self.keys, most)
        except OSError:  # the other end of the terminal is gone
            return b""

    @contextmanager
    def _raw(self) -> Iterator[None]:
        """Take keys one at a time and unechoed; Ctrl-C stays what it is. What was typed before is dropped."""
        before = termios.tcgetattr(self.keys)
        tty.setcbreak(self.keys, termios.TCSAFLUSH)
        try:
            yield
        finally:
            termios.tcsetattr(self.keys, termios.TCSADRAIN, before)
