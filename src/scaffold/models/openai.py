"""Subjects behind OpenAI and every server that speaks its protocol."""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from scaffold.broker.pace import ADAPTIVE, Pace
from scaffold.errors import SubjectUnavailable
from scaffold.models.chat import NO_KEY, PUBLIC_API, PooledChatOpenAI
from scaffold.models.connected import LangChainModel, PooledModel
from scaffold.models.patience import PATIENT, Patience, Retry
from scaffold.models.price import NOT_KNOWN, Price
from scaffold.models.sampling import AS_USUAL, Calling, Sampling
from scaffold.models.transport import IDLE_S, checked_url

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from scaffold.protocols import Model

__all__ = ["OpenAISubject", "header_value"]

FROM_ENVIRONMENT = "env:"
"""Before the name of a variable, in place of a header's value: secrets stay out of designs and records."""


@dataclass(frozen=True, kw_only=True)
class OpenAISubject:
    """A subject behind an OpenAI-compatible server.

    Raises:
        ValueError: the base URL is no http address, or holds credentials.

    Example:
        ```python
        subject = OpenAISubject(model="qwen3", base_url="http://127.0.0.1:8000/v1")
        async with subject.connect() as model:
            reply = await model.ask([HumanMessage("Hello")], tools=())
        ```
    """

    model: str
    base_url: str | None = None
    """None for OPENAI_BASE_URL, and without that the public API."""
    api_key: SecretStr | None = field(default=None, repr=False)
    """None for OPENAI_API_KEY; servers of one's own often need none."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Sent with each request, beside the usual ones. `env:NAME` stands for a variable's value."""
    sampling: Sampling = field(default_factory=Sampling)
    calling: Calling = AS_USUAL
    price: Price = NOT_KNOWN
    request_timeout_s: float = 120.0
    patience: Patience = PATIENT
    window: int | None = None
    """Tokens it takes at once, its answer among them; None to ask the server, or to know it by its name."""
    tokenizer: Callable[[str], int] | None = None
    """Counts the tokens of a text as the subject would; servers that have one of their own are asked."""
    stream: bool = False
    """Answers come in pieces, so that a server that hangs is told from one with much to say."""
    idle_timeout_s: float = IDLE_S
    """Between two pieces."""
    served: tuple[str, ...] = ()
    """What the server may call the model beside its name, a release of it, or it without its owner; with `*`
    for any text. An answer of any other model makes the trial void."""
    pace: Pace = ADAPTIVE
    """How much the server is asked: shared by all subjects of one address in a study."""
    on_retry: Callable[[Retry], None] | None = field(default=None, repr=False)
    simulated: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        checked_url(self._address())

    @property
    def name(self) -> str:
        """As on the command line."""
        return f"openai:{self.model}"

    @property
    def provider(self) -> str:
        """Whom the pace is agreed with: the server's address."""
        return self._address()

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[Model]:
        """Open the pool of connections that all trials of a study share.

        Raises:
            SubjectUnavailable: a header is to come from a variable that is not set.
        """
        try:
            chat = self.chat()
        except ValueError as fault:
            raise SubjectUnavailable(str(fault)) from fault
        if not chat.speaks_completions:
            yield LangChainModel(chat=chat, price=self.price, window=self.window, tokenizer=self.tokenizer)
            return
        async with chat.connected(
            patience=self.patience, idle_s=self.idle_timeout_s, on_retry=self.on_retry
        ) as connected:
            yield PooledModel(
                chat=connected,
                price=self.price,
                calling=self.calling,
                seeded=self.sampling.seeded,
                window=self.window,
                tokenizer=self.tokenizer,
                stream=self.stream,
                served=self.served,
            )

    def chat(self) -> PooledChatOpenAI:
        """Return the LangChain chat model, not yet connected, for use in graphs of one's own.

        Raises:
            ValueError: a header is to come from a variable that is not set.
        """
        key = self.api_key.get_secret_value() if self.api_key else os.environ.get("OPENAI_API_KEY")
        address = self._address()
        public = address == PUBLIC_API
        sampling = self.sampling
        more: dict[str, Any] = dict(sampling.more)
        if sampling.max_tokens is not None and not public:
            more["max_tokens"] = sampling.max_tokens  # the name that servers of every age know
        return PooledChatOpenAI(
            model=self.model,
            base_url=address,
            api_key=SecretStr(key or NO_KEY),
            default_headers={name: header_value(value) for name, value in self.headers.items()} or None,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            max_completion_tokens=sampling.max_tokens if public else None,
            extra_body=more or None,
            timeout=self.request_timeout_s,
            # The Responses API is the public server's alone; everybody else speaks chat completions.
            use_responses_api=None if public else False,
        )

    def _address(self) -> str:
        return self.base_url or os.environ.get("OPENAI_BASE_URL") or PUBLIC_API


def header_value(given: str) -> str:
    """Return a header's value; one that is kept in a variable is looked up.

    Raises:
        ValueError: the variable is not set.
    """
    if not given.startswith(FROM_ENVIRONMENT):
        return given
    name = given.removeprefix(FROM_ENVIRONMENT)
    if name not in os.environ:
        raise ValueError(f"a header is to come from the variable {name}, which is not set: export it")
    return os.environ[name]
