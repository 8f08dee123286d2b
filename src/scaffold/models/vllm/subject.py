"""Subjects whose server redline starts, keeps running and ends: `vllm:NAME`."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import structlog
from pydantic import SecretStr

from scaffold.broker.pace import UNPACED, Pace
from scaffold.models.chat import NO_KEY, PooledChatOpenAI
from scaffold.models.connected import PooledModel
from scaffold.models.patience import PATIENT, Patience, Retry
from scaffold.models.price import FREE, Price
from scaffold.models.sampling import AS_USUAL, Calling, Sampling
from scaffold.models.transport import IDLE_S
from scaffold.models.vllm.placing import is_directory
from scaffold.models.vllm.presets import PRESETS, family_of, preset_of
from scaffold.models.vllm.random_weights import CONTEXT_LENGTH, LOGIT_BIAS, random_weights
from scaffold.models.vllm.settings import VllmServer, given
from scaffold.models.vllm.sharing import shared
from scaffold.models.vllm.transport import ServedTransport

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from scaffold.protocols import Model

__all__ = ["RANDOM_WEIGHTS", "VllmSubject", "vllm_subject"]

RANDOM_WEIGHTS = "random-weights"
"""In place of a model's name: one that knows nothing, made here from a seed."""

_diagnostics = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class VllmSubject:
    """A subject behind a vLLM server that lives as long as the study.

    Example:
        ```python
        subject = vllm_subject("qwen2.5-72b-awq")
        async with subject.connect() as model:  # starts the server, waits for it, ends it
            reply = await model.ask([HumanMessage("Hello")], tools=())
        ```
    """

    server: VllmServer
    label: str
    """What it is called after `vllm:`."""
    host: str = ""
    """Where the server runs: here, or as `environments.hosting.host_of` takes it."""
    program: str | None = None
    """The vLLM there: a python, a virtual environment or a vllm program."""
    random_seed: int | None = None
    """Of the weights, where they are random; the server's model is made before it starts."""
    sampling: Sampling = field(default_factory=Sampling)
    calling: Calling = AS_USUAL
    price: Price = FREE
    request_timeout_s: float = 600.0
    patience: Patience = PATIENT
    pace: Pace = UNPACED
    window: int | None = None
    """Tokens it takes at once, its answer among them; None for what the server was started with."""
    stream: bool = False
    """Answers come in pieces, so that a server that hangs is told from one with much to say."""
    idle_timeout_s: float = IDLE_S
    """Between two pieces."""
    served: tuple[str, ...] = ()
    """What the server may call the model beside the name it was started with; see `OpenAISubject.served`."""
    logs: Path | None = None
    """The folder of the server's logs; one in redline's cache unless told."""
    warning: str = ""
    """Said when the server is started."""
    on_retry: Callable[[Retry], None] | None = field(default=None, repr=False)
    simulated: bool = field(default=False, init=False)

    @property
    def name(self) -> str:
        """As on the command line."""
        return f"vllm:{self.label}"

    @property
    def provider(self) -> str:
        """Whom the pace is agreed with: the server."""
        return f"{self.name}@{self.host or 'here'}"

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[Model]:
        """Start the server, or join those who use it already; the last to leave ends it.

        Raises:
            SubjectUnavailable: there is no vLLM, or it does not come to answer; the message says what to do.
        """
        if self.warning:
            _diagnostics.warning(self.warning)
        async with (
            shared(
                self.server, host=self.host, program=self.program, logs=self.logs, made=self._made()
            ) as service,
            ServedTransport.open(
                service, timeout_s=self.request_timeout_s, idle_s=self.idle_timeout_s
            ) as way,
            self.chat().connected(transport=way, patience=self.patience, on_retry=self.on_retry) as chat,
        ):
            yield PooledModel(
                chat=chat,
                price=self.price,
                calling=self.calling,
                seeded=self.sampling.seeded,
                seed_each_turn=self.random_seed is not None,
                window=self.window,
                stream=self.stream,
                served=self.served,
            )

    def chat(self) -> PooledChatOpenAI:
        """Return the LangChain chat model, not connected; its server exists inside `connect()` only."""
        sampling = self.sampling
        more: dict[str, Any] = dict(sampling.more)
        if sampling.max_tokens is not None:
            more["max_tokens"] = sampling.max_tokens
        return PooledChatOpenAI(
            model=self.server.name,
            base_url="http://vllm.invalid/v1",  # the transport knows the address, life by life
            api_key=SecretStr(NO_KEY),
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            extra_body=more or None,
            use_responses_api=False,
        )

    def _made(self) -> Path | None:
        """Make the model where that is redline's to do."""
        return None if self.random_seed is None else random_weights(seed=self.random_seed)


def vllm_subject(
    name: str,
    *,
    arguments: Mapping[str, str] | None = None,
    sampling: Sampling | None = None,
    calling: Calling = AS_USUAL,
    **settings: Any,
) -> VllmSubject:
    """Return the subject that `vllm:NAME` stands for.

    Args:
        name: a preset, a repository, a directory on the host that serves it, or `random-weights`, to which
            `?seed=N` may be added.
        arguments: of `vllm serve`, by name; see `VllmServer.arguments`.
        sampling: counts before what the preset asks for.
        calling: likewise.
        settings: further fields of `VllmSubject`.

    Raises:
        ValueError: the name means nothing, or nobody knows how the model writes its tool calls.
    """
    more = given(arguments or {})
    if name.partition("?")[0] == RANDOM_WEIGHTS:
        return _random(name, more, sampling or Sampling(), settings)
    server, hinted, warning = _server(name, more, here=settings.get("host", "") in {"", "here"})
    if calling.parallel is None:
        calling = replace(calling, parallel=hinted.parallel)
    return VllmSubject(
        server=replace(server, arguments=given({**dict(server.arguments), **dict(more)})),
        label=name,
        sampling=sampling or Sampling(),
        calling=calling,
        warning=warning,
        **settings,
    )


def _server(
    name: str, arguments: tuple[tuple[str, str], ...], *, here: bool
) -> tuple[VllmServer, Calling, str]:
    """Return a model's settings, how it is called, and what is to be said of both."""
    preset = preset_of(name)
    if preset is not None:
        return preset.server, preset.calling, ""
    model = str(Path(name).expanduser().absolute()) if here and is_directory(name) else name
    if "/" not in name:
        near = get_close_matches(name, PRESETS, n=1, cutoff=0.5)
        hint = f" (did you mean {near[0]}?)" if near else ""
        raise ValueError(
            f"no preset {name!r} of vLLM{hint}; there are {', '.join((*PRESETS, RANDOM_WEIGHTS))}; or write "
            "vllm:ORG/MODEL or vllm:/DIRECTORY"
        )
    if "tool-call-parser" in dict(arguments):
        return VllmServer(model=model), AS_USUAL, ""
    family = family_of(name)
    if family is None:
        raise ValueError(
            f"nothing is known of how {name} writes its tool calls: say it by --vllm-arg "
            "tool-call-parser=NAME (for a model that knows no tool calls give --tools text, and any parser)"
        )
    server = VllmServer(model=model, tool_parser=family.tool_parser, reasoning_parser=family.reasoning_parser)
    warning = (
        f"{name} has no preset: by its name its tool calls are read by {family.tool_parser}; "
        "--vllm-arg tool-call-parser=NAME says otherwise"
    )
    return server, family.calling, warning


def _random(
    name: str, arguments: tuple[tuple[str, str], ...], sampling: Sampling, settings: Mapping[str, Any]
) -> VllmSubject:
    """Return the chance baseline: every turn that may call a tool calls one, and every call is valid.

    Without these settings a model that knows nothing runs out in blanks, or in texts without an end. The
    arguments it can write are short texts of plain letters; everything else is as it is for any subject.
    """
    options = dict(parse_qsl(name.partition("?")[2], keep_blank_values=True))
    try:
        seed = int(options.pop("seed", "0"))
    except ValueError:
        seed = -1
    if options or seed < 0:
        raise ValueError(
            f"vllm:{name} is not understood: write vllm:{RANDOM_WEIGHTS} or ...?seed=N, N from 0 up"
        )
    return VllmSubject(
        server=VllmServer(
            model=RANDOM_WEIGHTS,
            served_name=RANDOM_WEIGHTS,
            tool_parser="hermes",
            context_length=CONTEXT_LENGTH,
            dtype="bfloat16",
            heads=1,  # nothing is gained from sharing a model of this size
            arguments=given({"enforce-eager": "true", **dict(arguments)}),
            environ=_SMALL,
        ),
        label=name,
        random_seed=seed,
        sampling=replace(
            sampling,
            max_tokens=sampling.max_tokens or _LONGEST_ANSWER,
            more={"logit_bias": dict(LOGIT_BIAS), **sampling.more},
        ),
        calling=Calling(choice="required", parallel=False, strict=True, longest_text=_LONGEST_TEXT),
        **settings,
    )


_LONGEST_ANSWER = 512
_LONGEST_TEXT = 40
_SMALL = (
    ("HF_HUB_OFFLINE", "1"),
    ("OMP_NUM_THREADS", "1"),
    ("VLLM_CPU_KVCACHE_SPACE", "1"),
    ("VLLM_CPU_OMP_THREADS_BIND", "nobind"),
)
"""On a CPU build: a small cache, and no processor to itself."""
