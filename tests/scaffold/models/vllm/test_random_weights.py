from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel, Field

from scaffold import DEFAULT_TOOLS, FunctionTool
from scaffold.models.encoding import tool_schemas
from scaffold.models.vllm.random_weights import LOGIT_BIAS, random_weights, write_random_weights
from scaffold.tools import FINISH

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def tensors(folder: Path) -> tuple[dict[str, Any], bytes]:
    raw = (folder / "model.safetensors").read_bytes()
    length = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + length])
    assert header.pop("__metadata__") == {"format": "pt"}
    return header, raw[8 + length :]


def test_a_seed_is_a_model_byte_for_byte(tmp_path: Path) -> None:
    one, again = random_weights(seed=3, folder=tmp_path / "a"), random_weights(seed=3, folder=tmp_path / "b")
    other = random_weights(seed=4, folder=tmp_path / "a")
    for name in ("model.safetensors", "config.json", "tokenizer.json"):
        assert (one / name).read_bytes() == (again / name).read_bytes()
    assert (one / "model.safetensors").read_bytes() != (other / "model.safetensors").read_bytes()


def test_a_model_is_made_once(tmp_path: Path) -> None:
    made = random_weights(folder=tmp_path)
    (made / "config.json").write_text("kept")
    assert (random_weights(folder=tmp_path) / "config.json").read_text() == "kept"
    assert [path.name for path in tmp_path.iterdir()] == [made.name]


def test_the_weights_fill_the_file_and_have_the_configured_shapes(tmp_path: Path) -> None:
    write_random_weights(tmp_path, seed=0)
    header, data = tensors(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    end = 0
    for tensor in header.values():
        start, stop = tensor["data_offsets"]
        assert start == end
        assert stop - start == 2 * int(np.prod(tensor["shape"]))
        end = stop
    assert end == len(data)
    width, layers = config["hidden_size"], config["num_hidden_layers"]
    assert header["model.embed_tokens.weight"]["shape"] == [config["vocab_size"], width]
    assert sum("q_proj.weight" in name for name in header) == layers


def test_the_weights_are_drawn_and_the_norms_are_one(tmp_path: Path) -> None:
    write_random_weights(tmp_path, seed=0)
    header, data = tensors(tmp_path)

    def values(name: str) -> np.ndarray[Any, Any]:
        start, stop = header[name]["data_offsets"]
        upper = np.frombuffer(data[start:stop], "<u2").astype("<u4") << 16
        return upper.view("<f4")

    drawn = values("model.layers.0.mlp.up_proj.weight")
    assert abs(float(drawn.mean())) < 0.001
    assert abs(float(drawn.std()) - 0.02) < 0.001
    assert set(values("model.norm.weight")) == {1.0}


def test_every_byte_has_a_token_and_blanks_and_marks_are_ruled_out(tmp_path: Path) -> None:
    write_random_weights(tmp_path, seed=0)
    tokenizer = json.loads((tmp_path / "tokenizer.json").read_text())
    vocabulary = tokenizer["model"]["vocab"]
    special = {token["content"]: token["id"] for token in tokenizer["added_tokens"]}
    numbers = sorted([*vocabulary.values(), *special.values()])
    assert numbers == list(range(json.loads((tmp_path / "config.json").read_text())["vocab_size"]))
    assert all("".join(pair) in vocabulary for pair in tokenizer["model"]["merges"])
    assert {vocabulary["\u0120"], vocabulary["\u010a"]} < {int(number) for number in LOGIT_BIAS}
    assert str(special["<|im_end|>"]) not in LOGIT_BIAS
    assert str(special["<|im_start|>"]) in LOGIT_BIAS


def strings(schema: Any) -> Iterator[dict[str, Any]]:
    if isinstance(schema, dict):
        if schema.get("type") == "string":
            yield schema
        for part in schema.values():
            yield from strings(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from strings(part)


def test_every_text_of_every_tool_comes_to_an_end() -> None:
    schemas = tool_schemas((*DEFAULT_TOOLS, FINISH), strict=True, longest_text=40)
    found = list(strings([schema["function"]["parameters"] for schema in schemas]))
    assert len(found) > 5
    assert all(each.keys() & {"pattern", "enum", "const"} for each in found)
    pattern = next(each["pattern"] for each in found if "pattern" in each)
    assert re.match(pattern, "cat /etc/x-1.txt")
    assert not re.match(pattern, "a" * 41)
    assert all(schema["function"]["strict"] for schema in schemas)


class Deep(BaseModel):
    names: list[str]
    maybe: str | None = None
    which: str = Field(pattern="^a$")


def test_lists_and_what_is_held_in_them_end_too_and_patterns_stay() -> None:
    async def run(*_: object) -> Any: ...

    tool = FunctionTool(name="t", group="shell", description="", arguments=Deep, function=run)
    (schema,) = tool_schemas([tool], longest_text=5)
    of = schema["function"]["parameters"]["properties"]
    assert of["names"] == {
        "type": "array",
        "items": {"type": "string", "pattern": "^[a-z0-9 ./-]{1,5}$"},
        "maxItems": 4,
    }
    assert of["maybe"]["anyOf"][0]["pattern"] == "^[a-z0-9 ./-]{1,5}$"
    assert of["which"]["pattern"] == "^a$"
    (usual,) = tool_schemas([tool])
    assert "pattern" not in usual["function"]["parameters"]["properties"]["names"]["items"]
