from __future__ import annotations

from typing import Any

import pytest

from scaffold.models.vllm.settings import VllmServer, shared_by

PLAIN = ("--host", "127.0.0.1", "--port", "8123", "--served-model-name", "org/model")


def options(gpus: int = 1, **settings: Any) -> tuple[str, ...]:
    return VllmServer(model="org/model", **settings).options(port=8123, gpus=gpus)


def value(words: tuple[str, ...], name: str) -> str:
    return words[words.index(f"--{name}") + 1]


def test_a_server_listens_on_this_host_alone_and_keeps_what_it_has_computed() -> None:
    words = options()
    assert words[: len(PLAIN)] == PLAIN
    assert {"--enable-prefix-caching", "--enable-prompt-tokens-details"} < set(words)
    assert value(words, "tensor-parallel-size") == "1"


def test_what_is_left_to_vllm_is_not_said() -> None:
    words = options()
    for name in ("dtype", "quantization", "max-model-len", "gpu-memory-utilization", "chat-template"):
        assert f"--{name}" not in words
    assert "--enable-auto-tool-choice" not in words


def test_every_setting_has_its_argument() -> None:
    words = options(
        served_name="it",
        tool_parser="hermes",
        reasoning_parser="qwen3",
        chat_template="/t.jinja",
        context_length=4096,
        prefix_caching=False,
        token_details=False,
        dtype="bfloat16",
        quantisation="awq",
        gpu_memory_share=0.8,
        seed=7,
    )
    expected = {
        "served-model-name": "it",
        "tool-call-parser": "hermes",
        "reasoning-parser": "qwen3",
        "chat-template": "/t.jinja",
        "max-model-len": "4096",
        "dtype": "bfloat16",
        "quantization": "awq",
        "gpu-memory-utilization": "0.8",
        "seed": "7",
    }
    assert {name: value(words, name) for name in expected} == expected
    assert {"--enable-auto-tool-choice", "--no-enable-prefix-caching"} < set(words)
    assert "--enable-prompt-tokens-details" not in words


@pytest.mark.parametrize(
    ("gpus", "heads", "share"),
    [(0, None, 1), (1, 64, 1), (3, 64, 2), (8, 64, 8), (8, 28, 4), (8, None, 8), (6, 5, 1)],
)
def test_as_many_gpus_share_a_model_as_its_heads_allow(gpus: int, heads: int | None, share: int) -> None:
    assert shared_by(gpus, heads=heads) == share
    assert value(options(gpus, heads=heads), "tensor-parallel-size") == str(share)


def test_a_given_number_of_gpus_counts_before_the_visible_ones() -> None:
    assert value(options(8, tensor_parallel=2), "tensor-parallel-size") == "2"


def test_further_arguments_count_before_the_settings() -> None:
    words = options(
        tool_parser="hermes",
        context_length=10,
        arguments=(
            ("enforce-eager", "true"),
            ("enable-prefix-caching", "false"),
            ("max-model-len", "20"),
            ("served-model-name", "other"),
        ),
    )
    assert {"--enforce-eager", "--no-enable-prefix-caching"} < set(words)
    assert value(words, "max-model-len") == "20"
    assert words.count("--max-model-len") == 1
    assert VllmServer(model="m", arguments=(("served-model-name", "other"),)).name == "other"


def test_a_tool_parser_among_the_further_arguments_turns_tool_calls_on() -> None:
    assert "--enable-auto-tool-choice" in options(arguments=(("tool-call-parser", "hermes"),))


@pytest.mark.parametrize("name", ["host", "port", "api-key", "uds", "--dtype"])
def test_what_redline_decides_cannot_be_given(name: str) -> None:
    with pytest.raises(ValueError, match="cannot be given"):
        options(arguments=((name, "x"),))


def test_a_share_of_memory_is_a_share() -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        options(gpu_memory_share=1.5)


def test_the_key_is_in_the_environment_where_only_its_user_sees_it() -> None:
    server = VllmServer(model="m", environ=(("HF_HUB_OFFLINE", "1"), ("VLLM_API_KEY", "mine")))
    assert server.variables(key="k") == {
        "VLLM_NO_USAGE_STATS": "1",
        "HF_HUB_OFFLINE": "1",
        "VLLM_API_KEY": "k",
    }


def test_a_build_for_processors_takes_no_prompt_in_pieces() -> None:
    assert "--no-enable-chunked-prefill" in VllmServer(model="m").options(port=1, gpus=0, on_cpu=True)
    assert "--no-enable-chunked-prefill" not in options()
