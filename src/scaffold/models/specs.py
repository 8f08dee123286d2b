"""Subjects by name, as the command line gives them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypedDict, Unpack

from scaffold.models.langchain import ChatSubject, chat_model
from scaffold.models.nearest import nearest as _nearest
from scaffold.models.openai import OpenAISubject
from scaffold.models.price import NOT_KNOWN
from scaffold.models.prices import Prices
from scaffold.models.sampling import Sampling
from scaffold.models.simulated import SimulatedSubject, character
from scaffold.models.text_tools import TextToolsSubject

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from pydantic import SecretStr

    from scaffold.broker.pace import Pace
    from scaffold.models.patience import Patience
    from scaffold.models.price import Price
    from scaffold.models.sampling import Calling
    from scaffold.protocols import Subject

__all__ = ["SPECS", "SubjectSettings", "parse_subject", "priced_name"]


class SubjectSettings(TypedDict, total=False):
    """What may be said of a subject beside its name; each provider takes what it has a use for."""

    base_url: str | None
    """Of the API; None for OPENAI_BASE_URL, and without that the public API."""
    api_key: SecretStr | None
    """None for OPENAI_API_KEY."""
    headers: Mapping[str, str]
    sampling: Sampling
    calling: Calling
    price: Price
    """Without one: as the price table has it, else not known. Simulated subjects cost nothing."""
    request_timeout_s: float
    """For one request."""
    patience: Patience
    """How often, and how long apart, a server that fails is asked again."""
    pace: Pace
    """How many requests at once and a minute the server is sent."""


def parse_subject(
    spec: str,
    *,
    tools: Literal["native", "text"] = "native",
    prices: Prices | None = None,
    **settings: Unpack[SubjectSettings],
) -> Subject:
    """Return the subject that a specification names.

    Args:
        spec: `openai:NAME`, `langchain:MODULE:CLASS` or `simulated:PROFILE`.
        tools: `text` for subjects that know no tool calls.
        prices: where the price is looked up if none is given; `Prices.usual()` unless told.
        settings: see `SubjectSettings`.

    Raises:
        ValueError: no such provider or profile, and the message names the nearest; no such address; or a
            price table that cannot be read.
    """
    provider, _, name = spec.partition(":")
    if provider not in _MAKERS or not name:
        raise ValueError(f"no subject {spec!r}{_nearest(provider, _MAKERS)}; write {_listed(SPECS)}")
    if "price" not in settings and (model := priced_name(spec, settings.get("sampling"))):
        settings["price"] = (prices or Prices.usual()).of(model) or NOT_KNOWN
    subject = _MAKERS[provider](name, settings)
    return TextToolsSubject(subject=subject) if tools == "text" else subject


def priced_name(spec: str, sampling: Sampling | None = None) -> str | None:
    """Return what the price table calls the model of a specification; None where its tokens cost nothing."""
    provider, _, name = spec.partition(":")
    if provider == "langchain":
        settings = {} if sampling is None else sampling.body()
        return str(settings.get("model") or settings.get("model_name") or name)
    return name if provider == "openai" else None


def _openai(name: str, settings: SubjectSettings) -> Subject:
    return OpenAISubject(model=name, **settings)


def _langchain(name: str, settings: SubjectSettings) -> Subject:
    sampling = settings.get("sampling", Sampling())
    taken: SubjectSettings = {}
    for key in ("calling", "price", "pace"):
        if key in settings:
            taken[key] = settings[key]
    return ChatSubject(chat=chat_model(name, sampling.body()), name=f"langchain:{name}", **taken)  # type: ignore[misc]


def _simulated(name: str, settings: SubjectSettings) -> Subject:
    taken: SubjectSettings = {}
    for key in ("price", "pace"):
        if key in settings:
            taken[key] = settings[key]
    return SimulatedSubject(profile=character(name), **taken)  # type: ignore[misc]


SPECS: Mapping[str, str] = {
    "openai:NAME": "a model behind any OpenAI-compatible server (--base-url, OPENAI_API_KEY)",
    "langchain:MODULE:CLASS": "any LangChain chat model; --set gives its constructor's settings",
    "simulated:PROFILE": "SIMULATED: exercises the instrument, says nothing about a model",
}
_MAKERS: Mapping[str, Callable[[str, SubjectSettings], Subject]] = {
    "openai": _openai,
    "langchain": _langchain,
    "simulated": _simulated,
}


def _listed(names: Iterable[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} or {last}"
