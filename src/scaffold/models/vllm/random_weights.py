"""A language model that knows nothing: a complete model directory with random weights, made from a seed.

Served like any other, it is the chance baseline of a study: what calls that are valid, and mean nothing,
achieve in the same worlds. Nothing here needs torch or transformers; the directory is what vLLM and
transformers load: a Qwen2 of two layers, a tokenizer of single bytes, a chat template, safetensors.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from environments.places import cache

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["CONTEXT_LENGTH", "LOGIT_BIAS", "random_weights", "write_random_weights"]

FORM = 1
"""Of what is written: raised when the same seed comes to mean another model."""

CONTEXT_LENGTH = 32_768
WIDTH = 128
HEADS, KEY_HEADS, HEAD_WIDTH = 4, 2, 32
LAYERS = 2
INNER_WIDTH = 256
SPREAD = 0.02
"""Standard deviation of the weights, as models are initialised."""

END_OF_TEXT, START, END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
SPECIAL = (END_OF_TEXT, START, END)
SPACED = "abcdefghijklmnopqrstuvwxyz0123456789./-"
"""Each has a token of its own with a space before it. Blanks alone can then be ruled out, without which an
answer held to a JSON schema runs out in them, and texts still have words."""

CHAT_TEMPLATE = """\
{%- if tools %}{{ '<|im_start|>system\\n' }}
{%- if messages[0].role == 'system' %}{{ messages[0].content + '\\n\\n' }}{% endif %}
{{- 'Tools, one JSON object a line:\\n' }}
{%- for tool in tools %}{{ tool | tojson + '\\n' }}{% endfor %}{{ '<|im_end|>\\n' }}
{%- elif messages[0].role == 'system' %}{{ '<|im_start|>system\\n' + messages[0].content + '<|im_end|>\\n' }}
{%- endif %}
{%- for message in messages %}
{%- if not (loop.first and message.role == 'system') %}
{{- '<|im_start|>' + message.role + '\\n' + (message.content or '') }}
{%- for call in message.tool_calls or [] %}
{{- '<tool_call>' + call.function.name + ' ' + call.function.arguments | tojson + '</tool_call>' }}
{%- endfor %}{{ '<|im_end|>\\n' }}
{%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}
"""


def random_weights(*, seed: int = 0, folder: Path | None = None) -> Path:
    """Return the model directory of a seed; it is made where it is not there yet.

    Args:
        seed: of the weights; the same seed is the same model, byte for byte.
        folder: in which the directory is kept; redline's cache unless told.
    """
    keep = folder or cache() / "models"
    path = keep / f"random-weights-{FORM}-{seed}"
    if path.is_dir():
        return path
    keep.mkdir(parents=True, exist_ok=True)
    making = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=keep))
    try:
        write_random_weights(making, seed=seed)
        making.chmod(0o755)
        making.rename(path)
    except OSError:
        shutil.rmtree(making, ignore_errors=True)
        if not path.is_dir():  # unless somebody else made it meanwhile
            raise
    return path


def write_random_weights(folder: Path, *, seed: int) -> None:
    """Write a complete model directory into an existing folder."""
    tokens = _vocabulary()
    files: Mapping[str, Any] = {
        "config.json": _config(len(tokens)),
        "generation_config.json": {"eos_token_id": tokens[END], "pad_token_id": tokens[END_OF_TEXT]},
        "tokenizer.json": _tokenizer(tokens),
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "eos_token": END,
            "pad_token": END_OF_TEXT,
            "model_max_length": CONTEXT_LENGTH,
            "clean_up_tokenization_spaces": False,
            "chat_template": CHAT_TEMPLATE,
        },
    }
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content, indent=1))
    _write_safetensors(folder / "model.safetensors", dict(_weights(len(tokens), seed=seed)))


def _config(vocabulary: int) -> dict[str, Any]:
    return {
        "architectures": ["Qwen2ForCausalLM"],
        "model_type": "qwen2",
        "vocab_size": vocabulary,
        "hidden_size": WIDTH,
        "intermediate_size": INNER_WIDTH,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": KEY_HEADS,
        "head_dim": HEAD_WIDTH,
        "hidden_act": "silu",
        "max_position_embeddings": CONTEXT_LENGTH,
        "rms_norm_eps": 1e-6,
        "rope_theta": 10_000.0,
        "tie_word_embeddings": True,
        "use_sliding_window": False,
        "torch_dtype": "bfloat16",
        "eos_token_id": _vocabulary()[END],
        "pad_token_id": _vocabulary()[END_OF_TEXT],
        "bos_token_id": None,
    }


# ------------------------------------------------------------------------------- tokens


def _letters() -> list[str]:
    """Return the 256 letters that byte-level tokenizers write bytes with (as GPT-2 chose them)."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    beyond = iter(range(0x100, 0x200))
    return [chr(byte if byte in printable else next(beyond)) for byte in range(256)]


BLANK = _letters()[0x20]


def _vocabulary() -> dict[str, int]:
    pieces = [*_letters(), *(BLANK + letter for letter in SPACED), *SPECIAL]
    return {piece: number for number, piece in enumerate(pieces)}


def _tokenizer(tokens: Mapping[str, int]) -> dict[str, Any]:
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": tokens[name], "content": name, **flags} for name in SPECIAL],
        "normalizer": None,
        "pre_tokenizer": byte_level,
        "post_processor": None,
        "decoder": byte_level,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "vocab": {piece: number for piece, number in tokens.items() if piece not in SPECIAL},
            "merges": [[BLANK, letter] for letter in SPACED],
        },
    }


def _ruled_out() -> dict[str, float]:
    tokens, letters = _vocabulary(), _letters()
    blanks = (tokens[letters[byte]] for byte in b" \t\n\r")
    return {str(number): -100.0 for number in (*blanks, tokens[END_OF_TEXT], tokens[START])}


LOGIT_BIAS: Mapping[str, float] = _ruled_out()
"""Sent with each request: a model that knows nothing would draw blanks and marks of a turn inside a call."""


# ------------------------------------------------------------------------------ weights


def _shapes(vocabulary: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield "model.embed_tokens.weight", (vocabulary, WIDTH)
    for layer in range(LAYERS):
        of = f"model.layers.{layer}"
        for name, heads in (("q", HEADS), ("k", KEY_HEADS), ("v", KEY_HEADS)):
            yield f"{of}.self_attn.{name}_proj.weight", (heads * HEAD_WIDTH, WIDTH)
            yield f"{of}.self_attn.{name}_proj.bias", (heads * HEAD_WIDTH,)
        yield f"{of}.self_attn.o_proj.weight", (WIDTH, HEADS * HEAD_WIDTH)
        yield f"{of}.mlp.gate_proj.weight", (INNER_WIDTH, WIDTH)
        yield f"{of}.mlp.up_proj.weight", (INNER_WIDTH, WIDTH)
        yield f"{of}.mlp.down_proj.weight", (WIDTH, INNER_WIDTH)
        yield f"{of}.input_layernorm.weight", (WIDTH,)
        yield f"{of}.post_attention_layernorm.weight", (WIDTH,)
    yield "model.norm.weight", (WIDTH,)


def _weights(vocabulary: int, *, seed: int) -> Iterator[tuple[str, tuple[tuple[int, ...], bytes]]]:
    draw = np.random.default_rng(seed)
    for name, shape in _shapes(vocabulary):
        values = np.ones(shape) if "norm" in name else draw.normal(0.0, SPREAD, shape)
        yield name, (shape, _bfloat16(values))


def _bfloat16(values: np.ndarray[Any, Any]) -> bytes:
    """Round to the upper half of a 32-bit float, to the nearest."""
    bits = values.astype("<f4").view("<u4")
    return ((bits + 0x8000) >> 16).astype("<u2").tobytes()


def _write_safetensors(path: Path, tensors: Mapping[str, tuple[tuple[int, ...], bytes]]) -> None:
    """Write tensors as the format has it: the header's length in 8 bytes, the header, the data."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    start = 0
    for name, (shape, raw) in tensors.items():
        header[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [start, start + len(raw)]}
        start += len(raw)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.writelines(raw for _, raw in tensors.values())
