"""Models whose right settings are known, and what is guessed of the others.

Sources, in each preset by their short names. `recipes`: the recipes of the vLLM project
(https://github.com/vllm-project/recipes, models/ORG/MODEL.yaml, as of 2026-08-21). `vllm docs`: "Tool
Calling" of vLLM's documentation (docs/features/tool_calling.md). `model card`: the model's page.
That the parsers exist, and the arguments are taken, is checked against an installed vLLM; none of these
models was served where redline is developed, which has no GPU.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scaffold.models.sampling import AS_USUAL, Calling
from scaffold.models.vllm.settings import VllmServer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["FAMILIES", "PRESETS", "Family", "Preset", "family_of", "preset_of"]


@dataclass(frozen=True, kw_only=True)
class Preset:
    """A model and how it is served well."""

    name: str
    server: VllmServer
    gpus: str
    """The least it fits on."""
    template: str
    """Whose chat template, and what is to be known of it."""
    source: str
    calling: Calling = AS_USUAL
    published: bool = False
    """A subject of published self-replication experiments, or a quantised form of one."""

    @property
    def summary(self) -> str:
        """One line for `redline list subjects`."""
        parsers = " and ".join(filter(None, (self.server.tool_parser, self.server.reasoning_parser)))
        return f"{self.server.model} on vLLM: {self.gpus}; {self.server.context_length} tokens; {parsers}"


_ONE_AT_A_TIME = Calling(parallel=False)
_LLAMA = (
    "the model's own; it ends in an error over two calls in one answer, so calls come one at a time. vLLM's "
    "tool_chat_template_llama3.1_json.jinja (examples/ of its source) may be given by chat-template"
)
_OWN = "the model's own"


def _llama_70b(name: str, model: str, *, context_length: int, gpus: str, source: str) -> Preset:
    """Llama 3.1 has 80 layers of 8 key heads of 128: 320 KiB of cache a token, 40 GiB for 131,072 of them."""
    return Preset(
        name=name,
        server=VllmServer(model=model, tool_parser="llama3_json", context_length=context_length, heads=64),
        gpus=gpus,
        template=_LLAMA,
        source=source,
        calling=_ONE_AT_A_TIME,
        published=True,
    )


def _qwen_72b(name: str, model: str, *, gpus: str) -> Preset:
    """Qwen2.5 is made for 32,768 tokens; longer contexts need its YaRN settings, which change short ones."""
    return Preset(
        name=name,
        server=VllmServer(model=model, tool_parser="hermes", context_length=32_768, heads=64),
        gpus=gpus,
        template=f"{_OWN}, which writes calls as Hermes does",
        source="vllm docs, Qwen Models (hermes); model card for the context",
        published=True,
    )


_ALL: Sequence[Preset] = (
    _llama_70b(
        "llama-3.1-70b",
        "meta-llama/Llama-3.1-70B-Instruct",
        context_length=131_072,
        gpus="4 GPUs of 80 GB",
        source="vllm docs, Llama Models (llama3_json); recipes, meta-llama/Llama-3.3-70B-Instruct (170 GB)",
    ),
    _llama_70b(
        "llama-3.1-70b-awq",
        "hugging-quants/Meta-Llama-3.1-70B-Instruct-AWQ-INT4",
        context_length=65_536,
        gpus="1 GPU of 80 GB",
        source="vllm docs, Llama Models (llama3_json); model card for the 40 GB of weights",
    ),
    _qwen_72b("qwen2.5-72b", "Qwen/Qwen2.5-72B-Instruct", gpus="4 GPUs of 80 GB"),
    _qwen_72b("qwen2.5-72b-awq", "Qwen/Qwen2.5-72B-Instruct-AWQ", gpus="1 GPU of 80 GB"),
    Preset(
        name="qwen3.8-27b",
        server=VllmServer(
            model="Qwen/Qwen3.8-27B",
            tool_parser="qwen3_coder",
            reasoning_parser="qwen3",
            context_length=131_072,
            arguments=(("language-model-only", "true"),),
        ),
        gpus="1 GPU of 80 GB",
        template=f"{_OWN}, which opens every answer with a thought and writes calls as XML",
        source="recipes, Qwen/Qwen3.8-27B (67 GB; up to 262,144 tokens)",
    ),
    Preset(
        name="gpt-oss-120b",
        server=VllmServer(
            model="openai/gpt-oss-120b",
            tool_parser="openai",
            reasoning_parser="openai_gptoss",
            context_length=131_072,
            heads=64,
        ),
        gpus="1 GPU of 80 GB",
        template="none: vLLM writes OpenAI's harmony format itself",
        source="recipes, openai/gpt-oss-120b; OpenAI/GPT-OSS.md (one A100 of 80 GB)",
    ),
    Preset(
        name="gemma-4-31b",
        server=VllmServer(
            model="google/gemma-4-31B-it",
            tool_parser="gemma4",
            reasoning_parser="gemma4",
            context_length=32_768,
            arguments=(("language-model-only", "true"),),
        ),
        gpus="2 GPUs of 80 GB",
        template=f"{_OWN}; vLLM's tool_chat_template_gemma4.jinja (examples/ of its source) may be given by "
        "chat-template, as its recipe does",
        source="recipes, google/gemma-4-31B-it; Google/Gemma4.md (two GPUs, 32,768 tokens)",
    ),
    Preset(
        name="mistral-small-4",
        server=VllmServer(
            model="mistralai/Mistral-Small-4-119B-2603",
            tool_parser="mistral",
            reasoning_parser="mistral",
            context_length=131_072,
        ),
        gpus="2 GPUs of 141 GB",
        template="none: mistral-common writes Mistral's own format; it thinks by --set reasoning_effort=high",
        source="recipes, mistralai/Mistral-Small-4-119B-2603 (143 GB, two GPUs; up to 262,144 tokens)",
    ),
    Preset(
        name="glm-4.7",
        server=VllmServer(
            model="zai-org/GLM-4.7-FP8",
            tool_parser="glm47",
            reasoning_parser="glm45",
            context_length=131_072,
        ),
        gpus="8 GPUs of 80 GB",
        template=_OWN,
        source="recipes, zai-org/GLM-4.7 (430 GB in FP8; up to 202,752 tokens)",
    ),
)

PRESETS: Mapping[str, Preset] = {preset.name: preset for preset in _ALL}


def preset_of(name: str) -> Preset | None:
    """Return the preset that a name or a full repository name stands for."""
    known = {preset.server.model.lower(): preset for preset in PRESETS.values()}
    return PRESETS.get(name.lower()) or known.get(name.lower())


@dataclass(frozen=True, kw_only=True)
class Family:
    """Models that write their tool calls alike, by a pattern of their names."""

    pattern: str
    tool_parser: str
    reasoning_parser: str | None = None
    calling: Calling = AS_USUAL


FAMILIES: Sequence[Family] = (
    Family(pattern=r"qwen3[._-]?coder|qwen3\.[5-9]", tool_parser="qwen3_coder", reasoning_parser="qwen3"),
    Family(pattern=r"qwen[-_]?3", tool_parser="hermes", reasoning_parser="qwen3"),
    Family(pattern=r"qwen[-_]?2\.5|qwq|hermes", tool_parser="hermes"),
    Family(pattern=r"llama-?4", tool_parser="llama4_pythonic"),
    Family(pattern=r"llama-?3\.[123]", tool_parser="llama3_json", calling=_ONE_AT_A_TIME),
    Family(pattern=r"gpt-oss", tool_parser="openai", reasoning_parser="openai_gptoss"),
    Family(pattern=r"gemma-?4", tool_parser="gemma4", reasoning_parser="gemma4"),
    Family(pattern=r"mistral|devstral|mixtral", tool_parser="mistral"),
    Family(pattern=r"glm-?4\.7", tool_parser="glm47", reasoning_parser="glm45"),
    Family(pattern=r"glm-?4\.[56]", tool_parser="glm45", reasoning_parser="glm45"),
    Family(pattern=r"kimi-?k2", tool_parser="kimi_k2", reasoning_parser="kimi_k2"),
    Family(pattern=r"granite-?4", tool_parser="granite4"),
)


def family_of(name: str) -> Family | None:
    """Guess how a model writes its tool calls from what it is called."""
    return next((family for family in FAMILIES if re.search(family.pattern, name, re.IGNORECASE)), None)
