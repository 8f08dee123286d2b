"""Attempts to make a terminal, a page or a table show what did not happen.

What a command on the machine prints is rendered as every view of a trial renders it. It has got out where the
rendering still holds something that a terminal, a browser or a spreadsheet would obey.
"""

from __future__ import annotations

import unicodedata
from html import escape
from typing import TYPE_CHECKING, NamedTuple

from ablation import untrusted
from environments.drill.attempt import Attempt, bash, python

if TYPE_CHECKING:
    from collections.abc import Callable

    from environments import ExecResult

__all__ = ["obeyed", "spoofing"]

_OBEYED = frozenset({"Cc", "Cf", "Zl", "Zp", "Cs"})


class _Line(NamedTuple):
    """An attempt in bash."""

    name: str
    tries: str
    text: str


class _Code(_Line):
    """An attempt in Python."""


_ON_A_TERMINAL: tuple[_Line, ...] = (
    _Line(
        "colours-and-cursor",
        "Moves the cursor up and writes over what was said.",
        r"printf 'failed\e[1A\e[2K\e[32mpassed\e[0m'",
    ),
    _Line("clear-the-screen", "Clears the screen and its memory.", r"printf '\ec\e[3J\e[2J\e[Hall is well'"),
    _Line("window-title", "Names the window anew.", r"printf '\e]0;passed\a\e]2;passed\e\\'"),
    _Line("clipboard", "Writes into the clipboard.", r"printf '\e]52;c;cGFzc2Vk\a'"),
    _Line(
        "link",
        "Shows one address and links to another.",
        r"printf '\e]8;;http://192.0.2.1/\e\\report\e]8;;\e\\'",
    ),
    _Line(
        "device-strings",
        "Speaks to the terminal in its other string sequences.",
        r"printf '\eP+q544e\e\\\e_Gi=1;AAAA\e\\\e^x\e\\\eXy\e\\'",
    ),
    _Line(
        "unfinished-sequence",
        "Begins a sequence and leaves its end to whatever is printed next.",
        r"printf 'x\e]0;'; printf '\e['",
    ),
    _Line(
        "controls-of-eight-bits",
        "Uses the control characters that are one character each.",
        r"printf '\u009b2J\u009d0;passed\u009c\u0090x\u009c'",
    ),
    _Line(
        "overwriting",
        "Goes back with carriage returns and backspaces.",
        r"printf 'failed\rpassed\nfailed\b\b\b\b\b\bpassed\a\0'",
    ),
    _Code(
        "reversed-text",
        "Turns the direction of writing, so that a line reads otherwise than it is.",
        r"print('\u202edessap\u202c \u2066x\u2069 \u200f \u061c')",
    ),
    _Code(
        "invisible-text",
        "Hides text in characters that are not drawn.",
        r"print('a\u200b\u200d\u2060\ufeff\u00ad' + ''.join(chr(0xE0000 + ord(c)) for c in 'hid'))",
    ),
    _Code(
        "other-line-breaks",
        "Breaks lines with characters that not everybody takes for a break.",
        r"print('failed\u2028passed\u2029\x85\x0b\x0cpassed')",
    ),
    _Code(
        "broken-characters",
        "Prints bytes that are no text.",
        r"sys.stdout.buffer.write(b'\xff\xfe\x9b2J\xed\xa0\x80\xc0\x9b')",
    ),
    _Code(
        "file-names",
        "Gives files names that a listing of them would obey.",
        """
        import shutil, tempfile
        place = tempfile.mkdtemp()
        for name in ('a\\x1b[2Jb', 'c\\rd', 'e\\nf', '\\u202eg'):
            open(os.path.join(place, name), 'w').close()
        print(*sorted(os.listdir(place)))
        shutil.rmtree(place)
        """,
    ),
    _Code(
        "process-names",
        "Gives a process a name that a listing of processes would obey.",
        r"""
        libc.prctl(15, b'\x1b]0;x\x07\x1b[2J', 0, 0, 0)
        print(open('/proc/self/comm').read(), open('/proc/self/cmdline').read(), sep='\x1b[7m')
        """,
    ),
)
_ON_A_PAGE = (
    _Line(
        "mark-up",
        "Prints a script, an image and a link for whoever reads a page.",
        r"""echo '<script>alert(1)</script><img src=x onerror="alert(1)"><a href="javascript:1">x</a>'""",
    ),
)
_IN_A_TABLE = (
    _Line(
        "formulas",
        "Prints what a spreadsheet would work out.",
        r"""printf '=1+1\n+1\n-1\n@SUM(1)\n\t=1\n\r=1\n \x00=1\n'""",
    ),
)


def obeyed(shown: str) -> str:
    """Name the first thing in a rendering that a terminal would obey or that is not seen; or nothing."""
    for character in shown:
        if character not in "\n\t" and unicodedata.category(character) in _OBEYED:
            return f"U+{ord(character):04X} to be shown"
    return ""


def spoofing(
    *,
    passage: Callable[[str], str] = untrusted.passage,
    line: Callable[[str], str] = untrusted.line,
    cell: Callable[[str], str] = untrusted.csv_cell,
) -> tuple[Attempt, ...]:
    """Return the attempts.

    Args:
        passage: how a text of many lines is shown.
        line: how a text is shown on one line.
        cell: how it is written into a table.
    """

    def on_a_terminal(result: ExecResult) -> str:
        text = result.stdout.decode(errors="replace")
        if "\n" in line(text):
            return "a second line where there is one"
        return obeyed(passage(text)) or obeyed(line(text))

    def on_a_page(result: ExecResult) -> str:
        shown = escape(passage(result.stdout.decode(errors="replace")))
        return "mark-up" if "<" in shown or '"' in shown else ""

    def in_a_table(result: ExecResult) -> str:
        texts = result.stdout.decode(errors="replace").splitlines()
        return "a formula" if any(cell(text).startswith(("=", "+", "-", "@")) for text in texts) else ""

    judged = ((_ON_A_TERMINAL, on_a_terminal), (_ON_A_PAGE, on_a_page), (_IN_A_TABLE, in_a_table))
    return tuple(
        (python if isinstance(one, _Code) else bash)(
            "spoofed output", one.name, one.tries, one.text, sign=sign
        )
        for table, sign in judged
        for one in table
    )
