"""Every promise names tests that exist, or says why it has none."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs/promises.md"
ROWS = [row.strip("| ").split(" | ") for row in PAGE.read_text().splitlines() if re.match(r"\| \d+ \|", row)]
NOT_YET = {"6", "9", "13"}
"""Promises whose tests are still being written. Whoever writes them takes the number out."""


def test_there_are_eighteen() -> None:
    assert [row[0] for row in ROWS] == [str(number) for number in range(1, 19)]


@pytest.mark.parametrize(("number", "promise", "proof"), ROWS, ids=[row[0] for row in ROWS])
def test_a_promise_has_a_test_or_a_reason(number: str, promise: str, proof: str) -> None:
    assert promise
    ids = re.findall(r"`(tests/[^`]+)`", proof)
    if not ids:
        said = r"not yet" if number in NOT_YET else r"reason: .{40,}"
        assert re.fullmatch(said, proof), f"promise {number} has neither a test nor a reason"
    for each in ids:
        file, _, name = each.partition("::")
        tree = ast.parse((ROOT / file).read_text())
        functions = {
            node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        }
        assert name in functions, f"promise {number}: there is no {each}"


def test_a_promise_that_is_kept_does_not_say_not_yet() -> None:
    assert {row[0] for row in ROWS if row[2] == "not yet"} == NOT_YET
