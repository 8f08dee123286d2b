"""What a chat-completions server tells of a request before it is sent: its window, its own count."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Literal

import orjson

from scaffold.models.transport import RootedTransport, Unreachable
from scaffold.models.window import A_TABLE, THE_SERVER, THE_SETTING, known_window, sound, stated_window
from scaffold.types import Window

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from langchain_core.messages import BaseMessage

    from scaffold.models.chat import PooledChatOpenAI
    from scaffold.models.transport import Buffer, Transport
    from scaffold.protocols import Tool

__all__ = ["ServerGauge"]

PATIENCE_S = 10.0
"""For what a server says about itself; who says nothing by then has said nothing."""

Choice = Literal["auto", "none"]


class ServerGauge:
    """The gauge of a connected `PooledChatOpenAI`; see `Gauge`.

    Args:
        chat: connected.
        settings: returns a request without its messages.
        window: as the user says; None to ask the server.
        tokenizer: of the user's.
    """

    def __init__(
        self,
        chat: PooledChatOpenAI,
        *,
        settings: Callable[[Sequence[Tool], Choice], bytes],
        window: int | None = None,
        tokenizer: Callable[[str], int] | None = None,
    ) -> None:
        self.tokenizer = tokenizer
        self._chat = chat
        self._settings = settings
        self._given = window
        self._window: Window | None = None
        self._entry: Mapping[str, Any] | None = None
        self._once = asyncio.Lock()
        self._counts = True
        """Whether the server may have a tokenizer to ask."""

    async def window(self) -> Window:
        """How much the subject takes at once; a server is asked once, and again only if it was not there."""
        if self._window is None:
            async with self._once:
                if self._window is None:
                    return await self._find()
        return self._window

    def size(
        self, messages: Sequence[BaseMessage], *, tools: Sequence[Tool], tool_choice: Choice = "auto"
    ) -> int:
        """Return the bytes of a request, but for its seed."""
        return self._chat.writer.size(self._settings(tools, tool_choice), messages)

    async def tokens(
        self, messages: Sequence[BaseMessage], *, tools: Sequence[Tool], tool_choice: Choice = "auto"
    ) -> int | None:
        """Have the server count a request, where it is vLLM or llama.cpp."""
        await self.window()
        transport = self._chat.transport
        owner = (self._entry or {}).get("owned_by")
        if not self._counts or not isinstance(transport, RootedTransport) or owner not in _TOKENIZERS:
            return None
        asked = orjson.loads(self._settings(tools, tool_choice))
        said = {name: asked[name] for name in ("model", "tools") if name in asked}
        said["add_generation_prompt"] = True
        with self._chat.writer.request(orjson.dumps(said), messages) as body:
            try:
                async with asyncio.timeout(PATIENCE_S):
                    return await _TOKENIZERS[owner](transport.at_root(), body)
            except (Unreachable, TimeoutError):
                return None
            except (LookupError, TypeError, ValueError):  # another version's, or none
                self._counts = False
                return None

    async def _find(self) -> Window:
        heard, tokens = True, self._given
        try:
            async with asyncio.timeout(PATIENCE_S):
                self._entry = await self._listed()
                tokens = tokens or await self._stated()
        except (Unreachable, TimeoutError) as silence:
            heard = isinstance(silence, TimeoutError)
        said_by = THE_SETTING if self._given else THE_SERVER
        if tokens is None:
            tokens, said_by = known_window(self._chat.model_name), A_TABLE
        found = Window(tokens=tokens, said_by=said_by if tokens else "", answer=self._longest_answer())
        if heard:
            self._window = found
        return found

    def _longest_answer(self) -> int | None:
        settings = orjson.loads(self._settings((), "auto"))
        names = ("max_completion_tokens", "max_tokens")
        return next((tokens for name in names if (tokens := sound(settings.get(name)))), None)

    async def _listed(self) -> Mapping[str, Any] | None:
        """Return what the server's list of models says about the subject."""
        transport = self._chat.transport
        if transport is None:
            return None
        answer = await transport.get("/models")
        try:
            entries = [entry for entry in orjson.loads(answer.body)["data"] if isinstance(entry, dict)]
        except (ValueError, LookupError, TypeError):
            return None
        named = [entry for entry in entries if entry.get("id") == self._chat.model_name]
        return next(iter(named or (entries if len(entries) == 1 else [])), None)

    async def _stated(self) -> int | None:
        if self._entry is None:
            return None
        transport = self._chat.transport
        if self._entry.get("owned_by") == "llamacpp" and isinstance(transport, RootedTransport):
            # What it was trained with stands in the list, what it was started with does not.
            answer = await transport.at_root().get("/props")
            try:
                started = sound(orjson.loads(answer.body)["default_generation_settings"]["n_ctx"])
            except (ValueError, LookupError, TypeError):
                started = None
            return started or stated_window(self._entry)
        return stated_window(self._entry)


async def _vllm(root: Transport, body: Buffer) -> int:
    answer = await root.post("/tokenize", body)
    return int(orjson.loads(answer.body)["count"])


async def _llama(root: Transport, body: Buffer) -> int:
    prompt = orjson.loads((await root.post("/apply-template", body)).body)["prompt"]
    asked = orjson.dumps({"content": prompt, "add_special": True, "parse_special": True})
    return len(orjson.loads((await root.post("/tokenize", asked)).body)["tokens"])


_TOKENIZERS = {"vllm": _vllm, "llamacpp": _llama}
"""By who owns the model, in the server's list of models."""
