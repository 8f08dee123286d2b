"""ChatOpenAI with another way to the server: each message written once, one pool of connections.

Settings and `bind_tools` are langchain-openai's own. What is replaced is how a request is built, sent and
read, because the openai package walks every message of every request again, which makes a long
conversation quadratic.
"""

from __future__ import annotations

import json
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_openai import ChatOpenAI
from pydantic import PrivateAttr, SecretStr

from scaffold.models.complaints import said_in
from scaffold.models.encoding import ConversationWriter
from scaffold.models.endpoint import Endpoint, Unreadable
from scaffold.models.parsing import loads, message_of
from scaffold.models.patience import PATIENT, Patience, Retry
from scaffold.models.transport import IDLE_S, HttpTransport, Transport

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from langchain_core.callbacks import AsyncCallbackManagerForLLMRun
    from langchain_core.messages import AIMessage, BaseMessage

__all__ = ["NO_KEY", "Completion", "PooledChatOpenAI"]

NO_KEY = "EMPTY"
"""Stands for the absence of a key, which ChatOpenAI does not allow; it is never sent."""

PUBLIC_API = "https://api.openai.com/v1"


@dataclass(frozen=True, kw_only=True)
class Completion:
    """One answer of the server, parsed, and what it took to get it."""

    message: AIMessage
    """The first choice."""
    sent_bytes: int
    attempts: int
    seconds: float
    first_s: float | None = None
    """Until the first piece of the answer, where it came in pieces."""


class PooledChatOpenAI(ChatOpenAI):
    """A LangChain chat model for OpenAI-compatible servers whose cost does not grow with the conversation.

    It stands wherever `ChatOpenAI` does. Inside `connected()` all calls share one pool; a call
    outside opens a connection of its own. Streaming, structured output and models that only speak
    the Responses API go the way of `ChatOpenAI`.
    """

    _endpoint: Endpoint | None = PrivateAttr(default=None)
    _writer: ConversationWriter = PrivateAttr()

    def model_post_init(self, context: Any, /) -> None:
        """Give each model object a writer that knows its settings."""
        super().model_post_init(context)
        self._writer = ConversationWriter(self._convert)

    @classmethod
    def is_lc_serializable(cls) -> bool:
        """Never: the transport cannot be written down."""
        return False

    @property
    def speaks_completions(self) -> bool:
        """False where ChatOpenAI would turn to the Responses API for this model."""
        return not self._use_responses_api({"tools": [{"type": "function"}]})

    @asynccontextmanager
    async def connected(
        self,
        *,
        transport: Transport | None = None,
        patience: Patience = PATIENT,
        idle_s: float = IDLE_S,
        on_retry: Callable[[Retry], None] | None = None,
    ) -> AsyncIterator[PooledChatOpenAI]:
        """Give a copy of this model whose calls share one pool of connections.

        Args:
            transport: In place of HTTP to the model's base URL; whoever made it closes it.
            patience: How often a server that fails is asked again.
            idle_s: How long a server may be silent in the middle of a streamed answer.
            on_retry: Told before each further attempt.
        """
        connected = self.model_copy()
        key = self._key()

        def endpoint_over(way: Transport) -> Endpoint:
            return Endpoint(
                transport=way,
                model=self.model_name,
                secret=key,
                patience=patience,
                on_retry=on_retry,
            )

        if transport is not None:
            connected._endpoint = endpoint_over(transport)  # noqa: SLF001 - a copy of ourselves
            yield connected
            return
        async with HttpTransport.open(
            self._address(),
            headers=self._headers(key),
            timeout_s=self._timeout_s(),
            idle_s=idle_s,
            proxy=self.openai_proxy,
        ) as pool:
            connected._endpoint = endpoint_over(pool)  # noqa: SLF001 - a copy of ourselves
            yield connected

    def settings(self, **options: Any) -> bytes:
        """Return a request without its messages, as a JSON object: what stays the same from call to call.

        Args:
            options: Beside the model's own settings, for example `tools`, `tool_choice` and `seed`.
        """
        settings = self._get_request_payload([], **options)
        del settings["messages"]
        settings.update(settings.pop("extra_body", None) or {})
        return orjson.dumps(settings)

    async def complete(self, messages: Sequence[BaseMessage], settings: bytes) -> Completion:
        """Ask the server, past LangChain's callbacks and tracing.

        Args:
            messages: A conversation; what was sent before is not converted again.
            settings: As `settings()` returned them.

        Raises:
            ModelFailed: no usable answer could be had.
        """
        endpoint = self._endpoint
        if endpoint is None:
            async with self.connected() as connected:
                return await connected.complete(messages, settings)
        started = time.perf_counter()
        with self._writer.request(settings, messages) as body:
            sent_bytes = len(body)
            got = await endpoint.complete(body, self._read)
        return Completion(
            message=got.read,
            sent_bytes=sent_bytes,
            attempts=got.attempts,
            seconds=time.perf_counter() - started,
            first_s=got.first_s,
        )

    @property
    def transport(self) -> Transport | None:
        """The way to the server; None while not connected."""
        return None if self._endpoint is None else self._endpoint.transport

    @property
    def writer(self) -> ConversationWriter:
        """What was written of the conversations, for who wants to know a request's size before it is sent."""
        return self._writer

    async def relay(self, request: Mapping[str, Any], settings: bytes) -> tuple[dict[str, Any], Completion]:
        """Ask the server what a client asks, in the client's own words, and return its answer as it is, too.

        Args:
            request: a client's JSON object; what it says counts before this model's own settings.
            settings: as `settings()` returned them.

        Raises:
            ModelFailed: no usable answer could be had.
        """
        endpoint = self._endpoint
        if endpoint is None:
            async with self.connected() as connected:
                return await connected.relay(request, settings)
        started = time.perf_counter()
        body = _dumps({**orjson.loads(settings), **request, "model": self.model_name})
        got = await endpoint.complete(body, self._read_both)
        answer, message = got.read
        completion = Completion(
            message=message,
            sent_bytes=len(body),
            attempts=got.attempts,
            seconds=time.perf_counter() - started,
            first_s=got.first_s,
        )
        return answer, completion

    def _read_both(self, body: bytes) -> tuple[dict[str, Any], AIMessage]:
        message = self._read(body)  # raises where the body is no answer
        answer: dict[str, Any] = loads(body)
        return answer, message

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        several = kwargs.get("n", self.n) not in {None, 1}
        if several or "response_format" in kwargs or self._use_responses_api({**self.model_kwargs, **kwargs}):
            return await super()._agenerate(messages, stop, run_manager, **kwargs)
        if stop is not None:
            kwargs["stop"] = stop
        message = (await self.complete(messages, self.settings(**kwargs))).message
        return ChatResult(generations=[ChatGeneration(message=message)], llm_output=message.response_metadata)

    def _convert(self, message: BaseMessage) -> dict[str, Any]:
        converted: dict[str, Any] = self._get_request_payload([message])["messages"][0]
        return converted

    def _read(self, body: bytes) -> AIMessage:
        """Parse an answer; what is wrong with it is told by whatever exception comes first."""
        if not body.strip():
            raise Unreadable("with an empty body")
        try:
            answer = loads(body)
        except ValueError:
            raise Unreadable(f"with something that is not JSON: {body[:80]!r}") from None
        choices = answer.get("choices") if isinstance(answer, dict) else None
        if not isinstance(choices, list) or not choices:
            raise Unreadable(f"with no choices: {said_in(body)}")
        try:
            return message_of(answer)
        except (LookupError, TypeError, ValueError, AttributeError) as fault:
            raise Unreadable(
                f"with a malformed completion ({type(fault).__name__}): {body[:80]!r}"
            ) from fault

    def _key(self) -> str | None:
        key = self.openai_api_key
        if key is None:
            return None
        if not isinstance(key, SecretStr):
            raise TypeError("PooledChatOpenAI takes a key, not a function that makes one")
        plain = key.get_secret_value().strip()
        return None if plain in {"", NO_KEY} else plain

    def _address(self) -> str:
        return self.openai_api_base or PUBLIC_API

    def _headers(self, key: str | None) -> dict[str, str]:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        if self.openai_organization:
            headers["OpenAI-Organization"] = self.openai_organization
        return {**headers, **(self.default_headers or {})}

    def _timeout_s(self) -> float:
        timeout = self.request_timeout
        return float(timeout) if isinstance(timeout, int | float) else 120.0


def _dumps(request: Mapping[str, Any]) -> bytes:
    try:
        return orjson.dumps(request)
    except TypeError:  # half a surrogate pair, which only the standard library writes
        return json.dumps(request, ensure_ascii=False).encode(errors="replace")
