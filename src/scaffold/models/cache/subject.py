"""A subject that is asked only what it has not answered before."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, TypeVar
from weakref import WeakValueDictionary

import structlog

from scaffold.broker.pace import UNPACED, Pace
from scaffold.models.cache.digests import Conversations, identity_of, key_of, key_of_request
from scaffold.models.cache.replies import packed, unpacked
from scaffold.models.price import Price, price_of
from scaffold.protocols import RelayingModel
from scaffold.types import Relayed, Reply

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence

    from langchain_core.messages import BaseMessage

    from scaffold.models.cache.store import ReplyCache, Shelf
    from scaffold.protocols import Gauge, Model, Subject, Tool

__all__ = ["Cached", "CachedModel", "CachedRelayingModel"]

R = TypeVar("R", bound=Reply)

_diagnostics = structlog.get_logger(__name__)


@dataclass(kw_only=True)
class CachedModel:
    """A connected subject and the answers it gave before.

    An answer is kept only where the request carried a seed. A failure is never kept; a refusal, a filtered
    and a truncated answer are answers like any other.
    """

    model: Model
    shelf: Shelf
    identity: bytes
    """Of the subject, as a digest."""
    _conversations: Conversations = field(default_factory=Conversations, init=False, repr=False)
    _served: str = field(default="", init=False)
    """The model that answers now, by its server's word, once it has answered."""
    _asking: WeakValueDictionary[bytes, asyncio.Lock] = field(
        default_factory=WeakValueDictionary, init=False, repr=False
    )

    @property
    def seeded(self) -> bool:
        """Whether requests carry a seed; where nothing says so, none is believed in."""
        return bool(getattr(self.model, "seeded", False))

    @property
    def gauge(self) -> Gauge | None:
        """As the model's."""
        gauge: Gauge | None = getattr(self.model, "gauge", None)
        return gauge

    def recall(
        self,
        messages: Sequence[BaseMessage],
        *,
        tools: Sequence[Tool],
        tool_choice: Literal["auto", "none"] = "auto",
        seed: int | None = None,
    ) -> Reply | None:
        """Return the answer to a conversation where it was given before; nobody is asked."""
        key = self._key(messages, tools, tool_choice, seed)
        return None if key is None else self._kept(key, Reply)

    def recall_relayed(self, request: Mapping[str, Any], *, seed: int | None = None) -> Relayed | None:
        """Return the answer to a program's request where it was given before; nobody is asked."""
        key = self._key_of_request(request, seed)
        return None if key is None else self._kept(key, Relayed)

    async def ask(
        self,
        messages: Sequence[BaseMessage],
        *,
        tools: Sequence[Tool],
        tool_choice: Literal["auto", "none"] = "auto",
        seed: int | None = None,
    ) -> Reply:
        """Answer a conversation, from what was answered before or by asking the subject.

        Raises:
            ModelFailed: no usable answer could be had.
        """

        async def send() -> Reply:
            return await self.model.ask(messages, tools=tools, tool_choice=tool_choice, seed=seed)

        return await self._answered(self._key(messages, tools, tool_choice, seed), send, Reply)

    def _key(
        self,
        messages: Sequence[BaseMessage],
        tools: Sequence[Tool],
        tool_choice: Literal["auto", "none"],
        seed: int | None,
    ) -> bytes | None:
        if seed is None or not self.seeded:
            return None
        conversation = self._conversations.digest(messages)
        return key_of(self.identity, conversation, tools=tools, tool_choice=tool_choice, seed=seed)

    def _key_of_request(self, request: Mapping[str, Any], seed: int | None) -> bytes | None:
        said = request.get("seed", seed if self.seeded else None)
        if not isinstance(said, int) or not self.seeded:
            return None
        return key_of_request(self.identity, request, seed=said)

    async def _answered(self, key: bytes | None, send: Callable[[], Awaitable[R]], kind: type[R]) -> R:
        if key is None:
            return await send()
        # Trials that ask the same at the same time are to hear the same: one of them asks.
        lock = self._asking.setdefault(key, asyncio.Lock())
        async with lock:
            known = self._kept(key, kind)
            if known is not None:
                return known
            reply = await send()
            return self._keep(key, reply, kind)

    def _kept(self, key: bytes, kind: type[R]) -> R | None:
        kept = self.shelf.get(key)
        known = None if kept is None else self._read(key, kept, kind)
        if known is None or (self._served and known.served and known.served != self._served):
            return None
        return known

    def _read(self, key: bytes, kept: bytes, kind: type[R]) -> R | None:
        try:
            known = unpacked(kept)
        except (ValueError, LookupError, TypeError) as fault:
            _diagnostics.warning("a kept reply cannot be read: the subject is asked", why=str(fault))
            self.shelf.drop(key)
            return None
        return known if isinstance(known, kind) else None

    def _keep(self, key: bytes, reply: R, kind: type[R]) -> R:
        """Keep an answer. Where another process kept one meanwhile, that one counts; this one was paid."""
        if reply.served and reply.served != self._served:
            self._served = reply.served
        try:
            mine = packed(reply)
        except TypeError:  # half a surrogate pair: it can be heard, and not be written down
            return reply
        stands = self.shelf.put(key, mine)
        if stands == mine:
            return reply
        theirs = self._read(key, stands, kind)
        if theirs is None or theirs.served != reply.served:
            self.shelf.drop(key)
            self.shelf.put(key, mine)
            return reply
        return replace(
            theirs, usage=reply.usage, seconds=reply.seconds, attempts=reply.attempts, from_cache=False
        )


@dataclass(kw_only=True)
class CachedRelayingModel(CachedModel):
    """One whose subject also answers programs inside machines."""

    model: RelayingModel

    @property
    def serves(self) -> str:
        """As the subject itself."""
        return self.model.serves

    async def relay(self, request: Mapping[str, Any], *, seed: int | None = None) -> Relayed:
        """Answer a request of the chat-completions protocol as it is; see `RelayingModel.relay`."""

        async def send() -> Relayed:
            return await self.model.relay(request, seed=seed)

        return await self._answered(self._key_of_request(request, seed), send, Relayed)


@dataclass(frozen=True, kw_only=True)
class Cached:
    """A subject whose answers are kept, and given again to the same question under the same seed.

    Example:
        ```python
        subject = Cached(subject=OpenAISubject(model="qwen3"), cache=ReplyCache("replies"))
        ```
    """

    subject: Subject
    cache: ReplyCache

    @property
    def name(self) -> str:
        """The subject's own name: it is the same subject."""
        return self.subject.name

    @property
    def simulated(self) -> bool:
        """As the subject itself."""
        return self.subject.simulated

    @property
    def pace(self) -> Pace:
        """As the subject itself."""
        return getattr(self.subject, "pace", UNPACED)

    @property
    def provider(self) -> str:
        """As the subject itself."""
        return str(getattr(self.subject, "provider", self.subject.name))

    @property
    def price(self) -> Price:
        """As the subject itself; answers that were given before cost nothing."""
        return price_of(self.subject)

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[Model]:
        """Open the cache, and the connection of the subject underneath.

        Raises:
            CacheUnusable: the cache's folder cannot be written.
        """
        identity = identity_of(self.subject)
        with self.cache.open() as shelf:
            async with self.subject.connect() as model:
                if isinstance(model, RelayingModel):
                    yield CachedRelayingModel(model=model, shelf=shelf, identity=identity)
                else:
                    yield CachedModel(model=model, shelf=shelf, identity=identity)
