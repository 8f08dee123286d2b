"""Subjects behind any LangChain chat model: given as an object, or named by its module and class."""

from __future__ import annotations

import importlib
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from langchain_core.language_models import BaseChatModel
from pydantic import ValidationError

from scaffold.broker.pace import ADAPTIVE, Pace
from scaffold.models.chat import PooledChatOpenAI
from scaffold.models.connected import LangChainModel, PooledModel
from scaffold.models.price import NOT_KNOWN, Price
from scaffold.models.sampling import AS_USUAL, Calling

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from scaffold.protocols import Model

__all__ = ["ChatSubject", "chat_model"]


@dataclass(frozen=True, kw_only=True)
class ChatSubject:
    """A subject behind a LangChain chat model of the user's own, whichever it is."""

    chat: BaseChatModel
    name: str
    calling: Calling = AS_USUAL
    price: Price = NOT_KNOWN
    pace: Pace = ADAPTIVE
    window: int | None = None
    """Tokens it takes at once, its answer among them; None for what is known of it."""
    tokenizer: Callable[[str], int] | None = None
    """Counts the tokens of a text as the subject would."""
    simulated: bool = False

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[Model]:
        """Open the model's pool where it has one of ours."""
        sizes: dict[str, Any] = {"window": self.window, "tokenizer": self.tokenizer}
        if isinstance(self.chat, PooledChatOpenAI) and self.chat.speaks_completions:
            async with self.chat.connected() as chat:
                yield PooledModel(chat=chat, price=self.price, calling=self.calling, **sizes)
        else:
            yield LangChainModel(chat=self.chat, price=self.price, calling=self.calling, **sizes)


def chat_model(place: str, settings: Mapping[str, Any]) -> BaseChatModel:
    """Return the chat model at `module:attribute`: a class is called with the settings.

    Raises:
        ValueError: there is none, or the settings are not such as it takes.
    """
    module, _, attribute = place.partition(":")
    if not module or not attribute:
        raise ValueError(f"langchain:{place} names no class; write langchain:MODULE:CLASS")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except ImportError as fault:
        raise ValueError(
            f"langchain:{place} cannot be imported ({fault}); install the package it is in"
        ) from fault
    except AttributeError:
        raise ValueError(f"the module {module} has no {attribute}") from None
    if isinstance(found, BaseChatModel):
        if settings:
            raise ValueError(f"langchain:{place} is made already: it takes no settings")
        return found
    if not (isinstance(found, type) and issubclass(found, BaseChatModel)):
        raise ValueError(f"langchain:{place} is no LangChain chat model")  # noqa: TRY004  a wrong name
    try:
        return found(**settings)
    except (ValidationError, TypeError, ValueError) as fault:
        wrong = " ".join(str(fault).split())
        raise ValueError(
            f"{place} does not take these settings; give others by --set NAME=VALUE ({wrong})"
        ) from fault
