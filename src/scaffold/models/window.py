"""How many tokens a subject takes at once: as the user says, as its server says, or as is known of it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from scaffold.types import Window

if TYPE_CHECKING:
    from collections.abc import Mapping

    from langchain_core.language_models import BaseChatModel

    from scaffold.protocols import Model

__all__ = ["KNOWN", "known_window", "stated_window", "window_of", "window_of_chat"]

THE_SETTING = "the setting"
THE_SERVER = "the server"
A_TABLE = "a table of known models"

_STATED = ("max_model_len", "context_length", "context_window", "max_context_length")
"""As vLLM and SGLang, OpenRouter and Together, Groq, and Mistral say it in their lists of models."""
_OF_LLAMA = ("n_ctx", "n_ctx_train")
MOST_TOKENS = 10**9

KNOWN: tuple[tuple[str, int], ...] = (
    (r"gpt-5(?!.*chat)", 400_000),
    (r"gpt-4\.1", 1_047_576),
    (r"gpt-4o|chatgpt-4o|gpt-4-turbo|gpt-5.*chat", 128_000),
    (r"gpt-4(-0613)?$", 8_192),
    (r"gpt-3\.5-turbo", 16_385),
    (r"o1|o3|o4-mini", 200_000),
    (r"claude-", 200_000),
    (r"gemini-(1\.5|2)", 1_048_576),
    (r"deepseek-(chat|reasoner)$", 128_000),
)
"""Hosted models whose name alone says it, by how it begins. What one serves oneself is as long as it was
started with, and its server says so."""


def known_window(name: str) -> int | None:
    """Return the window of a hosted model of this name; a gateway's prefix is passed over."""
    own = name.rpartition("/")[2].lower()
    return next((tokens for pattern, tokens in KNOWN if re.match(pattern, own)), None)


def stated_window(entry: Mapping[str, Any]) -> int | None:
    """Return the window that a server's list of models states for one of them."""
    meta = entry.get("meta")
    found = [entry.get(name) for name in _STATED]
    if isinstance(meta, dict):
        found += [meta.get(name) for name in _OF_LLAMA]
    return next((tokens for each in found if (tokens := sound(each)) is not None), None)


def sound(tokens: object) -> int | None:
    """Return a number of tokens, or None where it is none."""
    whole = isinstance(tokens, int) and not isinstance(tokens, bool)
    return tokens if whole and 0 < tokens <= MOST_TOKENS else None  # type: ignore[operator, return-value]


def window_of_chat(chat: BaseChatModel, *, name: str, given: int | None) -> Window:
    """Return the window of a LangChain chat model: as given, as it says itself, or as its name tells."""
    answer = sound(getattr(chat, "max_tokens", None))
    if given is not None:
        return Window(tokens=given, said_by=THE_SETTING, answer=answer)
    profile = getattr(chat, "profile", None)
    told = sound(profile.get("max_input_tokens")) if isinstance(profile, dict) else None
    if told is not None:
        return Window(tokens=told, said_by="its LangChain profile", answer=answer)
    known = known_window(name)
    return Window(tokens=known, said_by=A_TABLE if known else "", answer=answer)


async def window_of(model: Model) -> Window:
    """Return how much a connected subject takes at once, and who says so; nobody may."""
    gauge = getattr(model, "gauge", None)
    window: Window = Window() if gauge is None else await gauge.window()
    return window
