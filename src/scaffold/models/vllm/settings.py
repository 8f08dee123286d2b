"""What a vLLM server is to be like, and the command line and environment that make it so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["OURS", "VllmServer", "given", "shared_by"]

Option = str | int | float | bool | None

OURS = frozenset({"api-key", "grpc", "headless", "host", "port", "root-path", "uds"})
"""Arguments that say where the server listens and who may ask it: redline's affair."""


@dataclass(frozen=True, kw_only=True)
class VllmServer:
    """One vLLM server. Equal settings are one server, however many subjects and trials it answers.

    What is None is left to vLLM, which reads much of it from the model itself.

    Raises:
        ValueError: an argument says what redline has to decide, or something is out of its range.
    """

    model: str
    """A repository such as `Qwen/Qwen2.5-72B-Instruct`, or a directory on the host that serves it."""
    served_name: str | None = None
    """What the server calls the model; by default as `model`."""
    tool_parser: str | None = None
    """Reads tool calls out of what the model writes. None for a model that knows no tool calls."""
    reasoning_parser: str | None = None
    """Sets apart what the model thinks."""
    chat_template: str | None = None
    """A file on the host that serves it; None for the model's own."""
    tensor_parallel: int | None = None
    """GPUs that share the model; None for as many of the visible ones as its heads allow."""
    heads: int | None = None
    """Attention heads of the model, where known: GPUs share them evenly."""
    context_length: int | None = None
    """Tokens of prompt and answer together."""
    prefix_caching: bool = True
    """A trial's prompts extend each other: all but the newest part need not be computed again."""
    token_details: bool = True
    """Each answer says how many tokens of its prompt came from the cache."""
    dtype: str | None = None
    quantisation: str | None = None
    """None for what the weights say of themselves."""
    gpu_memory_share: float | None = None
    seed: int = 0
    """Of the server's own draws; each call carries its trial's seed."""
    arguments: tuple[tuple[str, str], ...] = ()
    """Further arguments of `vllm serve` by name, without dashes. They count before the above; `true` gives
    the bare `--NAME`, `false` gives `--no-NAME`."""
    environ: tuple[tuple[str, str], ...] = ()
    """Variables beside those the server's host has."""
    start_timeout_s: float = 3600.0
    """From the start until it answers: weights may have to be fetched first."""

    def __post_init__(self) -> None:
        for name, _ in self.arguments:
            if name.startswith("-") or name in OURS:
                raise ValueError(
                    f"vLLM's argument {name!r} cannot be given: "
                    + ("write it without dashes" if name.startswith("-") else "redline sets it")
                )
        if self.gpu_memory_share is not None and not 0 < self.gpu_memory_share <= 1:
            raise ValueError(f"a share of GPU memory lies between 0 and 1, not at {self.gpu_memory_share:g}")

    @property
    def name(self) -> str:
        """What the server is asked for."""
        return dict(self.arguments).get("served-model-name") or self.served_name or self.model

    def options(self, *, port: int, gpus: int, on_cpu: bool = False) -> tuple[str, ...]:
        """Return the arguments of `vllm serve` beside the model.

        Args:
            port: on 127.0.0.1 of the host that serves it.
            gpus: that are visible there.
            on_cpu: vLLM is built for processors alone. Its engine then dies of a prompt that is taken in
                pieces and has a seed, as each of redline's has ("CPU Generator does not use offset").
        """
        options: dict[str, Option] = {
            "host": "127.0.0.1",
            "port": port,
            "served-model-name": self.name,
            "enable-auto-tool-choice": True if self._has_tool_parser else None,
            "tool-call-parser": self.tool_parser,
            "reasoning-parser": self.reasoning_parser,
            "chat-template": self.chat_template,
            "tensor-parallel-size": self.tensor_parallel or shared_by(gpus, heads=self.heads),
            "max-model-len": self.context_length,
            "enable-prefix-caching": self.prefix_caching,
            "enable-chunked-prefill": False if on_cpu else None,
            "enable-prompt-tokens-details": True if self.token_details else None,
            "dtype": self.dtype,
            "quantization": self.quantisation,
            "gpu-memory-utilization": self.gpu_memory_share,
            "seed": self.seed,
            "disable-uvicorn-access-log": True,
            **{name: {"true": True, "false": False}.get(value, value) for name, value in self.arguments},
        }
        return tuple(word for name, value in options.items() for word in _words(name, value))

    def variables(self, *, key: str) -> dict[str, str]:
        """Return the environment of the server, beside what its host has.

        Args:
            key: that requests have to show; in a command line, every user of the host could read it.
        """
        return {"VLLM_NO_USAGE_STATS": "1", **dict(self.environ), "VLLM_API_KEY": key}

    @property
    def _has_tool_parser(self) -> bool:
        return bool(self.tool_parser or dict(self.arguments).get("tool-call-parser"))


def shared_by(gpus: int, *, heads: int | None) -> int:
    """Return how many of the visible GPUs share a model: a power of two that divides its heads."""
    share = 1
    while share * 2 <= gpus and (heads is None or heads % (share * 2) == 0):
        share *= 2
    return share


def _words(name: str, value: Option) -> Sequence[str]:
    match value:
        case None:
            return ()
        case True:
            return (f"--{name}",)
        case False:
            return (f"--no-{name}",)
        case _:
            return (f"--{name}", str(value))


def given(arguments: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Return arguments as they are kept: in the order of their names, with dashes inside them."""
    return tuple(sorted((name.replace("_", "-"), value) for name, value in arguments.items()))
