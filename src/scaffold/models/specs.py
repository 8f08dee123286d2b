"""Subjects by name, as the command line gives them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack

from scaffold.broker.pace import ADAPTIVE
from scaffold.models.langchain import ChatSubject, chat_model
from scaffold.models.nearest import nearest as _nearest
from scaffold.models.openai import OpenAISubject
from scaffold.models.price import NOT_KNOWN
from scaffold.models.prices import Prices
from scaffold.models.sampling import Sampling
from scaffold.models.simulated import SimulatedSubject, character
from scaffold.models.text_tools import TextToolsSubject
from scaffold.models.vllm import vllm_subject

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from pydantic import SecretStr

    from scaffold.broker.pace import Pace
    from scaffold.models.patience import Patience
    from scaffold.models.price import Price
    from scaffold.models.sampling import Calling
    from scaffold.protocols import Subject

__all__ = ["SPECS", "SubjectSettings", "VllmSettings", "parse_subject", "priced_name"]


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
    window: int | None
    """Tokens the subject takes at once, its answer among them; None to find out."""
    stream: bool
    """Answers come in pieces."""
    idle_timeout_s: float
    """Between two pieces of an answer."""
    served: tuple[str, ...]
    """What else the server may call the model."""
    pace: Pace
    """How many requests at once and a minute the server is sent."""
    vllm: VllmSettings


class VllmSettings(TypedDict, total=False):
    """Of a server that redline starts itself."""

    host: str
    """Nothing for this machine; `ssh://USER@HOST:PORT` or `vm:IMAGE[,gpu=ADDRESS]`."""
    program: str | None
    """The vLLM there: a python, a virtual environment or a vllm program."""
    arguments: Mapping[str, str]
    """Of `vllm serve`, by name."""


def parse_subject(
    spec: str,
    *,
    tools: Literal["native", "text"] = "native",
    prices: Prices | None = None,
    **settings: Unpack[SubjectSettings],
) -> Subject:
    """Return the subject that a specification names.

    Args:
        spec: `openai:NAME`, `vllm:NAME`, `langchain:MODULE:CLASS` or `simulated:PROFILE`.
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


def _taken(settings: SubjectSettings, *keys: str) -> dict[str, Any]:
    return {key: settings[key] for key in keys if key in settings}  # type: ignore[literal-required]


def _openai(name: str, settings: SubjectSettings) -> Subject:
    kept = {key: value for key, value in settings.items() if key != "vllm"}
    return OpenAISubject(model=name, **kept)  # type: ignore[arg-type]


def _vllm(name: str, settings: SubjectSettings) -> Subject:
    if settings.get("base_url"):
        raise ValueError("vllm:NAME is served by redline itself; a server with a --base-url is openai:NAME")
    asked = ("sampling", "calling", "price", "request_timeout_s", "patience", "pace", "window")
    answered = ("stream", "idle_timeout_s", "served")
    return vllm_subject(name, **settings.get("vllm", {}), **_taken(settings, *asked, *answered))


def _langchain(name: str, settings: SubjectSettings) -> Subject:
    sampling = settings.get("sampling", Sampling())
    taken = _taken(settings, "calling", "price", "pace", "window")
    return ChatSubject(chat=chat_model(name, sampling.body()), name=f"langchain:{name}", **taken)


def _simulated(name: str, settings: SubjectSettings) -> Subject:
    taken = _taken(settings, "price", "pace", "window")
    if taken.get("pace") == ADAPTIVE:  # nothing in this process is ever asked for too much
        del taken["pace"]
    return SimulatedSubject(profile=character(name), **taken)


SPECS: Mapping[str, str] = {
    "openai:NAME": "a model behind any OpenAI-compatible server (--base-url, OPENAI_API_KEY)",
    "vllm:NAME": "a model that redline serves: a preset, ORG/MODEL or /DIRECTORY (--vllm-host, --vllm-arg)",
    "vllm:random-weights": "knows nothing: the chance baseline; ?seed=N for other weights",
    "langchain:MODULE:CLASS": "any LangChain chat model; --set gives its constructor's settings",
    "simulated:PROFILE": "SIMULATED: exercises the instrument, says nothing about a model",
}
_MAKERS: Mapping[str, Callable[[str, SubjectSettings], Subject]] = {
    "openai": _openai,
    "vllm": _vllm,
    "langchain": _langchain,
    "simulated": _simulated,
}


def _listed(names: Iterable[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} or {last}"
