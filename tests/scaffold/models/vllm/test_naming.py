from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from ablation.cli import catalogue
from ablation.cli.subjects import SubjectRequest
from ablation.errors import NameUnknown
from scaffold import SubjectUnavailable
from scaffold.models import Calling, Sampling, parse_subject
from scaffold.models.vllm import PRESETS, VllmSubject, vllm_subject

DOCS = Path(__file__).parents[4] / "docs/vllm.md"


def parsed(spec: str, **settings: Any) -> VllmSubject:
    subject = parse_subject(spec, **settings)
    assert isinstance(subject, VllmSubject)
    return subject


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_found_by_its_name_and_by_its_repository(name: str) -> None:
    preset = PRESETS[name]
    for spec in (f"vllm:{name}", f"vllm:{preset.server.model}"):
        subject = parsed(spec)
        assert subject.server == preset.server
        assert subject.calling.parallel == preset.calling.parallel
        assert subject.name == spec
        assert not subject.simulated


def test_presets_name_their_source_and_what_they_need() -> None:
    for preset in PRESETS.values():
        assert preset.server.tool_parser
        assert preset.server.context_length
        assert preset.source.startswith(("recipes,", "vllm docs,"))
        assert re.search(r"\d GPUs? of \d+ GB", preset.gpus)
        assert preset.template
    published = {preset.server.model for preset in PRESETS.values() if preset.published}
    assert {"meta-llama/Llama-3.1-70B-Instruct", "Qwen/Qwen2.5-72B-Instruct"} < published
    assert len(published) == 4
    assert len(PRESETS) - len(published) >= 5


def test_the_presets_are_listed_and_documented() -> None:
    documented = DOCS.read_text()
    for name, preset in PRESETS.items():
        assert catalogue.SUBJECTS[f"vllm:{name}"] == preset.summary
        server = preset.server
        cells = (
            f"`{name}`",
            f"`{server.model}`",
            preset.gpus,
            f"{server.context_length:,}",
            f"`{server.tool_parser}`",
            f"`{server.reasoning_parser}`" if server.reasoning_parser else "none",
        )
        assert f"| {' | '.join(cells)} |" in documented


@pytest.mark.parametrize(
    ("model", "tool_parser", "reasoning_parser"),
    [
        ("Qwen/Qwen2.5-7B-Instruct", "hermes", None),
        ("Qwen/Qwen3-32B", "hermes", "qwen3"),
        ("Qwen/Qwen3-Coder-30B-A3B-Instruct", "qwen3_coder", "qwen3"),
        ("meta-llama/Llama-3.1-8B-Instruct", "llama3_json", None),
        ("zai-org/GLM-4.6", "glm45", "glm45"),
        ("openai/gpt-oss-20b", "openai", "openai_gptoss"),
    ],
)
def test_other_models_are_read_as_their_family_writes_and_that_is_said(
    model: str, tool_parser: str, reasoning_parser: str | None
) -> None:
    subject = parsed(f"vllm:{model}")
    assert subject.server.tool_parser == tool_parser
    assert subject.server.reasoning_parser == reasoning_parser
    assert f"by its name its tool calls are read by {tool_parser}" in subject.warning


def test_a_model_of_no_known_family_needs_its_parser() -> None:
    with pytest.raises(ValueError, match="--vllm-arg tool-call-parser=NAME"):
        parsed("vllm:somebody/something")
    subject = parsed("vllm:somebody/something", vllm={"arguments": {"tool-call-parser": "hermes"}})
    assert subject.warning == ""
    assert "--enable-auto-tool-choice" in subject.server.options(port=1, gpus=0)


def test_a_mistyped_preset_names_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"did you mean qwen2\.5-72b\?"):
        parsed("vllm:qwen-2.5-72b")
    with pytest.raises(ValueError, match="vllm:ORG/MODEL or vllm:/DIRECTORY"):
        parsed("vllm:zzz")


def test_arguments_count_before_a_presets_and_are_written_either_way() -> None:
    subject = parsed(
        "vllm:qwen3.8-27b", vllm={"arguments": {"max_model_len": "9", "language-model-only": "false"}}
    )
    words = subject.server.options(port=1, gpus=1)
    assert words[words.index("--max-model-len") + 1] == "9"
    assert "--no-language-model-only" in words


def test_what_is_said_of_calls_counts_before_the_presets() -> None:
    assert parsed("vllm:llama-3.1-70b").calling == Calling(parallel=False)
    assert parsed("vllm:llama-3.1-70b", calling=Calling(parallel=True)).calling.parallel is True


def test_a_directory_may_be_named_from_where_one_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert vllm_subject("./qwen2.5").server.model == str(tmp_path / "qwen2.5")


@pytest.mark.parametrize("name", ["/models/qwen2.5", "./qwen2.5", "~/qwen2.5"])
def test_a_directory_of_another_host_is_not_looked_for_here(name: str) -> None:
    assert vllm_subject(name, host="ssh://me@there").server.model == name


@pytest.mark.anyio
async def test_a_directory_without_a_model_is_no_subject(tmp_path: Path) -> None:
    with pytest.raises(SubjectUnavailable, match=r"is no model directory; it needs a config\.json"):
        async with vllm_subject(f"{tmp_path}/qwen2.5").connect():
            pass


def test_the_random_subject_calls_one_tool_a_turn_and_ends_what_it_writes() -> None:
    subject = parsed("vllm:random-weights?seed=7", sampling=Sampling(temperature=0.5, more={"top_k": 3}))
    assert subject.random_seed == 7
    assert subject.calling == Calling(choice="required", parallel=False, strict=True, longest_text=40)
    assert subject.sampling.temperature == 0.5
    assert subject.sampling.more["top_k"] == 3
    assert subject.sampling.more["logit_bias"]
    assert subject.sampling.max_tokens


@pytest.mark.parametrize("name", ["random-weights?seed=x", "random-weights?seed=-1", "random-weights?sed=1"])
def test_a_random_subject_that_is_not_understood_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is not understood"):
        parsed(f"vllm:{name}")


def test_a_server_of_ones_own_is_no_managed_one() -> None:
    with pytest.raises(ValueError, match="openai:NAME"):
        parsed("vllm:qwen2.5-72b", base_url="http://127.0.0.1:8000/v1")


def test_the_command_lines_options_reach_the_server() -> None:
    request = SubjectRequest(
        model="vllm:qwen2.5-72b",
        vllm_host="ssh://me@there:22",
        vllm_program="/opt/vllm",
        vllm_arguments={"max-model-len": "4096"},
        stream=True,
        idle_timeout_s=7.0,
        served=("another",),
    )
    subject = SubjectRequest.model_validate(request.model_dump(mode="json")).subject()
    assert isinstance(subject, VllmSubject)
    assert (subject.host, subject.program) == ("ssh://me@there:22", "/opt/vllm")
    assert dict(subject.server.arguments) == {"max-model-len": "4096"}
    assert (subject.stream, subject.idle_timeout_s, subject.served) == (True, 7.0, ("another",))


def test_an_argument_that_redline_decides_is_refused_in_a_line() -> None:
    with pytest.raises(NameUnknown, match="'port' cannot be given: redline sets it"):
        SubjectRequest(model="vllm:qwen2.5-72b", vllm_arguments={"port": "1"}).subject()
