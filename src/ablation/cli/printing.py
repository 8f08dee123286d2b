"""One JSON object on standard output."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import orjson

from ablation.untrusted import inert_json

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["print_json"]


def print_json(found: Mapping[str, Any]) -> None:
    """Write one object a line, in which no character does anything to a terminal."""
    sys.stdout.buffer.write(inert_json(orjson.dumps(found, option=orjson.OPT_APPEND_NEWLINE)))
