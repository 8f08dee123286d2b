from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from pathlib import PurePosixPath
from types import MappingProxyType

import orjson
import pytest
from pydantic import BaseModel, Field, SecretStr

from ablation.provenance import describe, instrument, source_digest


class Settings(BaseModel):
    depth: int = 3
    key: SecretStr = Field(default=SecretStr("hunter2"), repr=False)


@dataclass(frozen=True)
class Part:
    name: str
    key: str = field(default="hunter2", repr=False)
    inner: object = None


def doubled(number: int) -> int:
    return 2 * number


@pytest.mark.parametrize(
    "part",
    [
        Part("a", inner=Part("b", inner=object())),
        Settings(),
        {"x": (1, 2), "y": {3, 1, 2}},
        MappingProxyType({"path": PurePosixPath("/a")}),
        doubled,
        partial(doubled, 3),
        Part,
        b"bytes",
    ],
)
def test_anything_becomes_plain_data_without_addresses_or_secrets(part: object) -> None:
    text = orjson.dumps(describe(part)).decode()
    assert " at 0x" not in text
    assert "hunter2" not in text


def test_objects_are_named_by_kind_and_visible_fields() -> None:
    assert describe(Part("a")) == {"kind": f"{__name__}.Part", "name": "a", "inner": None}
    assert describe(Settings()) == {"kind": f"{__name__}.Settings", "depth": 3}


def test_functions_are_known_by_their_source() -> None:
    assert describe(doubled)["kind"] == f"{__name__}.doubled"
    assert len(describe(doubled)["source"]) == 64
    assert describe(len)["source"] is None


def test_long_texts_are_described_by_digest() -> None:
    assert describe("x" * 1000)["characters"] == 1000


def test_the_instrument_is_named() -> None:
    assert instrument()["redline"]
    assert len(source_digest()) == 64
