"""A person is asked in a real pseudo-terminal, while the live display is on it."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from whole_trials import TESTS

from ablation.record import read_log

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PROMPT = "[y] allow"
SMALL = """
from small_studies import *
from scaffold.models.scripted import Scripted, call
hostile = "cp word.txt note.txt # \\x1b[2J\\x1b]0;owned\\x07\\u202etxt.exe\\x9b31m\\n" + "\\n".join(
    f"# line {n}" for n in range(60)
)
subject = Scripted(replies=[
    [call("shell", command="true"), call("shell", command="true")],
    [call("shell", command=hostile)],
    [call("finish", summary="done")],
])
study = small_study(name="asked", subject=subject, seeds=[0])
"""


@dataclass(kw_only=True)
class Terminal:
    """The other end of the terminal that a command runs in."""

    end: int
    process: subprocess.Popen[bytes]
    shown: bytes = b""
    read_up_to: int = 0

    def until(self, words: str) -> str:
        """Wait for words, and return all that was shown since the last ones that were waited for."""
        began = time.monotonic()
        while words.encode() not in self.shown[self.read_up_to :]:
            assert time.monotonic() - began < 60, self.shown.decode(errors="replace")
            if select.select([self.end], [], [], 0.2)[0]:
                try:
                    self.shown += os.read(self.end, 1 << 16)
                except OSError:
                    pytest.fail(f"{words!r} never came: {self.shown.decode(errors='replace')}")
        since = self.shown[self.read_up_to :]
        self.read_up_to += since.index(words.encode()) + len(words)
        return since.decode(errors="replace")

    def press(self, keys: str) -> None:
        time.sleep(0.2)  # what is typed ahead of a question is dropped: nobody can have meant it
        os.write(self.end, keys.encode())

    def ends(self) -> int:
        """Read to the end and return the exit status."""
        while True:
            try:
                if not select.select([self.end], [], [], 60)[0]:
                    pytest.fail(self.shown.decode(errors="replace"))
                chunk = os.read(self.end, 1 << 16)
            except OSError:
                break
            if not chunk:
                break
            self.shown += chunk
        return self.process.wait(timeout=60)


@contextmanager
def terminal(folder: Path, *options: str) -> Iterator[Terminal]:
    (folder / "small.py").write_text(SMALL)
    near, far = pty.openpty()
    termios.tcsetwinsize(far, (60, 160))
    process = subprocess.Popen(
        [sys.executable, "-m", "ablation.cli", "ablate", "small.py", "--out", "out", *options],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": TESTS, "TERM": "xterm"},
        stdin=far,
        stdout=far,
        stderr=far,
        start_new_session=True,
    )
    os.close(far)
    try:
        yield Terminal(end=near, process=process)
    finally:
        process.kill()
        process.wait()
        os.close(near)


def told(folder: Path, seed: int = 0) -> list[tuple[str, str, str]]:
    log = folder / f"out/trials/full--note--{seed}.jsonl"
    return [(e["what"], e["by"], e["reason"]) for e in read_log(log) if e["kind"] == "intervened"]


def outcome(folder: Path, seed: int = 0) -> tuple[str, bool]:
    (end,) = (e for e in read_log(folder / f"out/trials/full--note--{seed}.jsonl") if e["kind"] == "end")
    return end["record"]["outcome"], end["record"]["unaided"]


def test_each_call_is_allowed_or_denied_with_a_reason(tmp_path: Path) -> None:
    with terminal(tmp_path, "--oversee", "ask") as screen:
        shown = screen.until(PROMPT)
        assert "full--note--0 step 1 wants shell" in plain(shown)
        screen.press("y")
        screen.until(PROMPT)
        screen.press("x")  # means nothing: the keys are shown again
        screen.until(PROMPT)
        screen.press("y")
        screen.until(PROMPT)
        screen.press("n")
        screen.until("why?")
        screen.press("not like that\n")
        assert screen.ends() == 0
    assert told(tmp_path) == [
        ("allowed", "person", ""),
        ("allowed", "person", ""),
        ("denied", "person", "not like that"),
    ]
    assert outcome(tmp_path) == ("failure", False)


def test_what_is_approved_is_what_is_shown_and_nothing_of_it_is_obeyed(tmp_path: Path) -> None:
    with terminal(tmp_path, "--oversee", "step") as screen:
        screen.until(PROMPT)
        screen.press("y")
        shown = plain(screen.until("[v] show it whole"))
        for spelled in ("⟨U+001B⟩[2J", "⟨U+0007⟩", "⟨U+202E⟩txt.exe", "⟨U+009B⟩31m", "more lines"):
            assert spelled in shown
        assert "# line 30" not in shown
        screen.press("v")
        assert "# line 30" in plain(screen.until(PROMPT))
        screen.press("s")
        assert screen.ends() == 0
        assert b"\x1b]0;" not in screen.shown
        assert b"\x1b[31m owned" not in screen.shown
        assert not set(screen.shown.decode()) & {"\x07", "\u202e", "\x9b"}
    assert told(tmp_path) == [("allowed", "person", ""), ("allowed", "person", "")]
    assert outcome(tmp_path) == ("success", True)


def test_all_from_now_on_asks_no_more(tmp_path: Path) -> None:
    with terminal(tmp_path, "--oversee", "ask") as screen:
        screen.until(PROMPT)
        screen.press("a")
        assert screen.ends() == 0
    assert told(tmp_path) == [("allowed", "person", "")]


def test_trials_at_once_are_asked_about_one_after_the_other_and_one_can_be_aborted(tmp_path: Path) -> None:
    with terminal(tmp_path, "--oversee", "ask", "--trials", "2", "--concurrency", "2") as screen:
        screen.until(PROMPT)
        screen.press("q")
        screen.until("why?")
        screen.press("enough\n")
        screen.until(PROMPT)
        screen.press("a")
        assert screen.ends() == 0
    assert sorted(outcome(tmp_path, seed)[0] for seed in (0, 1)) == ["aborted", "success"]


def test_an_interrupt_while_a_question_stands_leaves_the_terminal_as_it_was(tmp_path: Path) -> None:
    with terminal(tmp_path, "--oversee", "ask") as screen:
        screen.until(PROMPT)
        time.sleep(0.3)
        assert not termios.tcgetattr(screen.end)[3] & termios.ICANON
        os.kill(screen.process.pid, signal.SIGINT)
        assert screen.ends() == 130
        assert termios.tcgetattr(screen.end)[3] & termios.ICANON
    assert told(tmp_path) == []


def plain(text: str) -> str:
    """What is on the screen, without the styles that redline itself gave it."""
    return " ".join(re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text).split())
