from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from scaffold.models.vllm.diagnosis import cause_in, last_lines, mend_of, port_was_taken

if TYPE_CHECKING:
    from pathlib import Path

# As vLLM 0.32 and torch put it.
SAID = {
    "KeyError: 'invalid tool call parser: nosuch (chose from { hermes,mistral })'": "tool-call-parser=NAME",
    "KeyError: 'invalid reasoning parser: nosuch (chose from { qwen3 })'": "reasoning-parser=NAME",
    "api_server.py: error: unrecognized arguments: --bogus": "no such argument",
    "huggingface_hub.errors.LocalEntryNotFoundError: Cannot find an appropriate": "vllm:/PATH",
    "huggingface_hub.errors.HFValidationError: Repo id must be in the form 'repo_name'": "vllm:/PATH",
    "OSError: You are trying to access a gated repo.": "HF_TOKEN",
    "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.": "max-model-len",
    "ValueError: No available memory for the cache blocks.": "max-model-len",
    "ValueError: To serve at least one request with the model's max seq len (131072), (40.0 GiB KV cache is "
    "needed, which is larger than the available KV cache memory (30.0 GiB).": "shorter",
    "RuntimeError: Failed to infer device type, please set the environment variable": "CUDA_VISIBLE_DEVICES",
    "ValueError: Total number of attention heads (28) must be divisible by tensor parallel size (8).": (
        "tensor-parallel-size=N"
    ),
    "ValueError: max_model_len (9) is greater than the derived max_model_len (8).": "max-model-len",
    "OSError: [Errno 28] No space left on device": "HF_HOME",
}


@pytest.mark.parametrize(("said", "mend"), SAID.items())
def test_what_is_known_has_its_mend(said: str, mend: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text(f"(APIServer pid=9) INFO 11-24 17:48:57 [a.py:1] Starting\n  File x\n{said}\n\n")
    assert mend in mend_of(log)
    assert cause_in(log) == said[:300] + "..." * (len(said) > 300)


def test_the_cause_is_what_broke_and_not_who_noticed(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text(
        "(Worker pid=1) ERROR 11-24 18:06:24 [multiproc_executor.py:1063] RuntimeError: no offset\n"
        "(EngineCore pid=1) ERROR 11-24 18:06:24 [core.py:1] vllm.v1.engine.exceptions.EngineDeadError: "
        "EngineCore encountered an issue. See stack trace (above) for the root cause.\n"
        "INFO:     Finished server process [18830]\n"
    )
    assert cause_in(log) == "RuntimeError: no offset"
    assert mend_of(log) == ""


def test_a_log_that_says_nothing_of_errors_is_quoted_by_its_end(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("one\ntwo\n\n")
    assert cause_in(log) == "two"
    assert last_lines(log, count=1) == ["two"]


def test_a_log_that_is_empty_or_gone_has_said_nothing(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    for log in (tmp_path / "empty", tmp_path / "gone"):
        assert cause_in(log) == "it said nothing"
        assert last_lines(log) == []


def test_only_the_end_of_a_long_log_is_read(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("CUDA out of memory\n" + "fine\n" * 100_000)
    assert mend_of(log) == ""
    assert len(last_lines(log, count=100_000)) < 20_000


def test_a_port_that_was_taken_is_told_from_the_rest(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("OSError: [Errno 98] Address already in use\n")
    assert port_was_taken(log)
    log.write_text("OSError: [Errno 28] No space left on device\n")
    assert not port_was_taken(log)
