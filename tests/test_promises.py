"""Every promise names tests that exist, or says why it has none."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs/promises.md"
ROWS = [row.strip("| ").split(" | ") for row in PAGE.read_text().splitlines() if re.match(r"\| \d+ \|", row)]


def test_there_are_eighteen() -> None:
    assert [row[0] for row in ROWS] == [str(number) for number in range(1, 19)]


@pytest.mark.parametrize(("number", "promise", "proof"), ROWS, ids=[row[0] for row in ROWS])
def test_a_promise_has_a_test_or_a_reason(number: str, promise: str, proof: str) -> None:
    assert promise
    ids = re.findall(r"`(tests/[^`]+)`", proof)
    if not ids:
        assert re.fullmatch(r"reason: .{40,}", proof), f"promise {number} has neither a test nor a reason"
    for each in ids:
        file, _, name = each.partition("::")
        tree = ast.parse((ROOT / file).read_text())
        functions = {
            node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        }
        assert name in functions, f"promise {number}: there is no {each}"
