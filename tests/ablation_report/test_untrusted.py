from __future__ import annotations

import csv
import io
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ablation import untrusted

texts = st.text(st.characters(codec=None), max_size=300)


@given(texts)
def test_a_passage_holds_nothing_a_terminal_obeys(text: str) -> None:
    shown = untrusted.passage(text)
    unseen = {c for c in shown if unicodedata.category(c) in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}}
    assert unseen <= {"\n", "\t"}
    shown.encode()


@given(texts, st.integers(1, 50))
def test_a_line_is_one_line_and_no_longer_than_asked(text: str, limit: int) -> None:
    shown = untrusted.line(text, limit=limit)
    assert "\n" not in shown
    assert len(shown) <= limit
    assert shown == shown.strip()


@given(texts)
def test_cleaning_twice_changes_nothing(text: str) -> None:
    assert untrusted.passage(untrusted.passage(text)) == untrusted.passage(text)


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;http://evil/\x1b\\click\x1b]8;;\x1b\\", "click"),
        ("\x9b2Jgone", "gone"),
        ("pay\N{RIGHT-TO-LEFT OVERRIDE}lap", "paylap"),
        ("zero\N{ZERO WIDTH SPACE}width", "zerowidth"),
        ("over\rwritten", "over written"),
        ("bell\a back\b", "bell back"),
        ("half \ud800 pair", "half \N{REPLACEMENT CHARACTER} pair"),
        ("größer 大", "größer 大"),
    ],
)
def test_what_terminals_obey_is_dropped_and_the_rest_stays(hostile: str, shown: str) -> None:
    assert untrusted.line(hostile) == shown


def test_a_cut_says_how_much_it_took() -> None:
    shown = untrusted.passage("a" * 100 + "z" * 100, limit=100)
    assert shown.startswith("a" * 66)
    assert shown.endswith("z" * 34)
    assert "100 characters left out" in shown


def test_a_fold_keeps_head_and_tail() -> None:
    text = "\n".join(str(number) for number in range(100))
    assert untrusted.fold(text, lines=4) == ["0", "1", "… 96 more lines …", "98", "99"]
    assert untrusted.fold("one\ntwo", lines=4) == ["one", "two"]


@given(texts)
def test_no_cell_starts_a_formula(text: str) -> None:
    cell = untrusted.csv_cell(text)
    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))
    out = io.StringIO(newline="")
    csv.writer(out).writerow([cell])
    assert next(csv.reader(io.StringIO(out.getvalue(), newline=""))) == [cell]
