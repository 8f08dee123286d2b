"""Text that an agent may have made, rendered harmless for people and programs that read it.

A transcript can hold terminal escapes that rewrite the screen, bidirectional overrides that reorder a
line, mark-up, links, and spreadsheet formulas. Everything a report or a terminal shows of a trial goes
through this file first; escaping for HTML is left to the template, which escapes everything.
"""

from __future__ import annotations

import re
import unicodedata

__all__ = ["LINE", "PASSAGE", "csv_cell", "fold", "inert_json", "line", "passage", "spelled"]

LINE = 240
"""Characters of a line that are shown."""

PASSAGE = 20_000
"""Characters of a passage that are shown."""

_ESCAPES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"  # control sequences: colours, cursor, clearing
    r"|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"  # strings: titles, links
    r"|\x1b[ -/]*[0-~]?"  # everything else that starts with an escape
)
_UNSEEN = frozenset({"Cc", "Cf", "Zl", "Zp"})
_UNDECODED = frozenset({"Cs", "Co", "Cn"})
# Letters and marks that show nothing: fillers, joiners, variation selectors.
_BLANK = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
# The signs as spreadsheets know them, full width and small forms among them, and a minus as printers set it.
_FORMULA_STARTS = tuple("=+-@\uff1d\uff0b\uff0d\uff20\ufe66\ufe62\ufe63\ufe6b\u2212")
_LEADING = " \t'\"`,;\u2018\u2019\u201c\u201d\uff02\uff07"
"""What a spreadsheet may skip, or take for the end of the cell before, ahead of a formula."""


def passage(text: str, *, limit: int = PASSAGE) -> str:
    """Return `text` with its lines, without anything a terminal or a browser would obey.

    Escape sequences, control characters, bidirectional and other invisible format characters are
    dropped; surrogates and unassigned characters are shown as U+FFFD. What is over `limit` is cut out of
    the middle, and the cut says how much it took.
    """
    seen = re.sub(r"\r\n?|[\x85\u2028\u2029\v\f]", "\n", _ESCAPES.sub("", _cut(text, 4 * limit)))
    return _cut("".join(map(_harmless, seen)), limit)


def line(text: str, *, limit: int = LINE) -> str:
    """Return `text` as one line: as `passage`, with every run of white space made one space."""
    flat = " ".join(passage(text, limit=4 * limit).split())
    return flat if len(flat) <= limit else f"{flat[: limit - 1]}…"


def fold(text: str, *, lines: int, width: int = LINE) -> list[str]:
    """Return the first and last lines of a passage, `lines` in all, and say how many are left out."""
    all_lines = [each.rstrip() for each in passage(text).strip("\n").split("\n")]
    shown = [each if len(each) <= width else f"{each[: width - 1]}…" for each in all_lines]
    if len(shown) <= lines + 1:
        return shown
    head = (lines + 1) // 2
    tail = shown[len(shown) - (lines - head) :]
    return [*shown[:head], f"… {len(shown) - lines} more lines …", *tail]


def csv_cell(text: str) -> str:
    """Return `text` as one line that no spreadsheet takes for a formula."""
    flat = line(text)
    return f"'{flat}" if flat.lstrip(_LEADING).startswith(_FORMULA_STARTS) else flat


def spelled(text: str) -> str:
    """Return `text` with its lines and every character that does not show spelled out, as ⟨U+202E⟩.

    For whoever has to decide about it: what is approved is what was shown. Nothing is cut.
    """
    return "".join(character if _shows(character) else f"⟨U+{ord(character):04X}⟩" for character in text)


def _shows(character: str) -> bool:
    if character == "\n" or " " <= character <= "~":
        return True
    return unicodedata.category(character)[0] in "LMNPS" and not _BLANK.match(character)


class _Escapes(dict[int, str]):
    """For `str.translate`: characters that do something or show nothing, as JSON escapes them."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        if character in "\n\r\t" or _shows(character) or unicodedata.category(character) == "Zs":
            escaped = character
        else:
            units = character.encode("utf-16-be", "surrogatepass").hex()
            escaped = "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))
        self[code] = escaped
        return escaped


_ESCAPED = _Escapes()
_BEYOND_ASCII = re.compile("[^\x00-\x7e]+")


def inert_json(data: bytes) -> bytes:
    """Return JSON in UTF-8 that means the same and in which no character does anything to a terminal.

    Encoders escape only what is below U+0020. DEL, C1 controls, bidirectional overrides, line separators
    and characters that show nothing stand for themselves otherwise. Plain ASCII comes back as it is.
    """
    if data.isascii() and b"\x7f" not in data:
        return data
    return _BEYOND_ASCII.sub(lambda found: found[0].translate(_ESCAPED), data.decode()).encode()


def _harmless(character: str) -> str:
    if character in "\n\t" or " " <= character <= "~":
        return character
    category = unicodedata.category(character)
    if category in _UNSEEN or _BLANK.match(character):
        return ""
    return "\N{REPLACEMENT CHARACTER}" if category in _UNDECODED else character


def _cut(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    head = limit * 2 // 3
    tail = limit - head
    return f"{text[:head]}\n… {len(text) - limit:,} characters left out …\n{text[-tail:]}"
