"""Subjects by name, as the command line gives them: `openai:NAME`, `simulated:PROFILE`."""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import TYPE_CHECKING, Literal

from pydantic import SecretStr

from scaffold.broker.pace import UNPACED, Pace
from scaffold.models.chat import NO_KEY, PUBLIC_API, PooledChatOpenAI
from scaffold.models.connected import LangChainModel, PooledModel
from scaffold.models.patience import PATIENT, Patience, Retry
from scaffold.models.price import FREE, Price
from scaffold.models.simulated import PROFILES, SimulatedSubject
from scaffold.models.text_tools import TextToolsSubject
from scaffold.models.transport import checked_url

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

    from langchain_core.language_models import BaseChatModel

    from scaffold.protocols import Model, Subject

__all__ = ["ChatSubject", "OpenAISubject", "parse_subject"]

PROVIDERS = ("openai", "simulated")


@dataclass(frozen=True, kw_only=True)
class ChatSubject:
    """A subject behind a LangChain chat model of the user's own, whichever it is."""

    chat: BaseChatModel
    name: str
    price: Price = FREE
    pace: Pace = UNPACED
    simulated: bool = False

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[Model]:
        """Open the model's pool where it has one of ours."""
        if isinstance(self.chat, PooledChatOpenAI) and self.chat.speaks_completions:
            async with self.chat.connected() as chat:
                yield PooledModel(chat=chat, price=self.price)
        else:
            yield LangChainModel(chat=self.chat, price=self.price)


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
    temperature: float | None = None
    price: Price = FREE
    request_timeout_s: float = 120.0
    patience: Patience = PATIENT
    pace: Pace = UNPACED
    """What the server bears: shared by all subjects of one address in a study."""
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
        """Open the pool of connections that all trials of a study share."""
        chat = self.chat()
        if not chat.speaks_completions:
            yield LangChainModel(chat=chat, price=self.price)
            return
        async with chat.connected(patience=self.patience, on_retry=self.on_retry) as connected:
            yield PooledModel(chat=connected, price=self.price)

    def chat(self) -> PooledChatOpenAI:
        """Return the LangChain chat model, not yet connected, for use in graphs of one's own."""
        key = self.api_key.get_secret_value() if self.api_key else os.environ.get("OPENAI_API_KEY")
        address = self._address()
        # The Responses API is the public server's alone; everybody else speaks chat completions.
        responses = None if address == PUBLIC_API else False
        return PooledChatOpenAI(
            model=self.model,
            base_url=address,
            api_key=SecretStr(key or NO_KEY),
            temperature=self.temperature,
            timeout=self.request_timeout_s,
            use_responses_api=responses,
        )

    def _address(self) -> str:
        return self.base_url or os.environ.get("OPENAI_BASE_URL") or PUBLIC_API


def parse_subject(  # noqa: PLR0913  one for each option of the command line
    spec: str,
    *,
    base_url: str | None = None,
    api_key: SecretStr | None = None,
    temperature: float | None = None,
    price: Price = FREE,
    tools: Literal["native", "text"] = "native",
    request_timeout_s: float = 120.0,
    patience: Patience = PATIENT,
    pace: Pace = UNPACED,
) -> Subject:
    """Return the subject that a specification names.

    Args:
        spec: `openai:NAME` or `simulated:PROFILE`.
        base_url: Of the API; None for OPENAI_BASE_URL, and without that the public API.
        api_key: None for OPENAI_API_KEY.
        temperature: None leaves it to the server.
        price: What the subject's tokens cost.
        tools: `text` for subjects that know no tool calls.
        request_timeout_s: For one request.
        patience: How often, and how long apart, a server that fails is asked again.
        pace: How many requests at once and a minute the server is sent.

    Raises:
        ValueError: no such provider or profile, and the message names the nearest; or no such address.
    """
    provider, _, name = spec.partition(":")
    if provider not in PROVIDERS or not name:
        raise ValueError(
            f"no subject {spec!r}{_nearest(provider, PROVIDERS)}; write openai:NAME or simulated:PROFILE"
        )
    if provider == "simulated":
        if name not in PROFILES:
            known = ", ".join(PROFILES)
            raise ValueError(f"no simulated profile {name!r}{_nearest(name, PROFILES)}; there are {known}")
        subject: Subject = SimulatedSubject(profile=PROFILES[name], price=price, pace=pace)
    else:
        subject = OpenAISubject(
            model=name,
            base_url=base_url,
            api_key=api_key,
            temperature=temperature,
            price=price,
            request_timeout_s=request_timeout_s,
            patience=patience,
            pace=pace,
        )
    return TextToolsSubject(subject=subject) if tools == "text" else subject


def _nearest(name: str, known: Iterable[str]) -> str:
    near = get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f" (did you mean {near[0]}?)" if near else ""
