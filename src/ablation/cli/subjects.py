"""Options that name a subject, and how it is asked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import click
from pydantic import BaseModel, ConfigDict

from ablation.cli.loading import load_object
from ablation.errors import NameUnknown
from scaffold import Pace
from scaffold.broker import ADAPTIVE
from scaffold.models import NO_PRICES, Calling, Patience, Price, PriceFault, Prices, Sampling, parse_subject
from scaffold.models.patience import PATIENT
from scaffold.models.specs import SubjectSettings, priced_name
from scaffold.models.transport import IDLE_S

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from scaffold.protocols import Subject

__all__ = ["SubjectRequest", "subject_of", "subject_options"]

Decorated = TypeVar("Decorated", bound="Callable[..., Any]")

_VLLM = ("vllm_host", "vllm_program", "vllm_arguments")
_SECRET = ("authorization", "api-key", "token", "secret", "cookie")


class SubjectRequest(BaseModel):
    """A subject, as its options name it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    base_url: str | None = None
    headers: dict[str, str] = {}
    """A secret stands here as `env:NAME`."""
    settings: dict[str, Any] = {}
    """Of sampling, or of a chat model's constructor."""
    tools: Literal["native", "text"] = "native"
    tool_choice: Literal["auto", "required"] = "auto"
    price: tuple[float | None, ...] | None = None
    """Of a million prompt and completion tokens, and of cached and written ones where those cost something
    else. None where nobody said a price: the table was looked in when the study was asked for."""
    request_timeout_s: float = 120.0
    request_attempts: int = PATIENT.attempts
    context_window: int | None = None
    """Tokens the subject takes at once; None to find out."""
    stream: bool = False
    idle_timeout_s: float = IDLE_S
    served: tuple[str, ...] = ()
    requests_at_once: int | None = None
    requests_per_minute: int | None = None
    vllm_host: str = ""
    vllm_program: str | None = None
    vllm_arguments: dict[str, str] = {}

    def subject(self) -> Subject:
        """Return the subject, not yet connected.

        Raises:
            NameUnknown: the specification means nothing.
        """
        settings: SubjectSettings = {
            "base_url": self.base_url,
            "headers": self.headers,
            "sampling": Sampling.of(self.settings),
            "calling": Calling(choice=self.tool_choice),
            "request_timeout_s": self.request_timeout_s,
            "patience": Patience(attempts=self.request_attempts),
            "pace": self._pace(),
            "vllm": {
                "host": self.vllm_host,
                "program": self.vllm_program,
                "arguments": self.vllm_arguments,
            },
            "window": self.context_window,
            "stream": self.stream,
            "idle_timeout_s": self.idle_timeout_s,
            "served": self.served,
        }
        if self.price is not None:
            settings["price"] = _as_price(self.price)
        try:
            return parse_subject(self.model, tools=self.tools, prices=NO_PRICES, **settings)
        except ValueError as fault:
            try:
                found = load_object(self.model)
            except NameUnknown:
                raise NameUnknown(str(fault)) from fault
        if not hasattr(found, "connect"):
            raise NameUnknown(f"{self.model} is not a subject: it needs a `name` and a `connect`")
        if self._pace() != ADAPTIVE:
            raise NameUnknown(f"{self.model} keeps its own pace: give it a `pace` in place of the options")
        subject: Subject = found
        return subject

    def _pace(self) -> Pace:
        return Pace(at_once=self.requests_at_once, per_minute=self.requests_per_minute)


def subject_of(options: Mapping[str, Any]) -> SubjectRequest | None:
    """Return what the options ask for; None where they name no model."""
    if options["model"] is None:
        alone = ("base_url", "price", "headers", "settings", "context_window", *_VLLM)
        given = [name for name in alone if options[name]]
        if given:
            names = {"headers": "header", "settings": "set", "vllm_arguments": "vllm-arg"}
            wrong = " and ".join(f"--{names.get(name, name).replace('_', '-')}" for name in given)
            raise click.UsageError(f"{wrong} go{'es' * (len(given) == 1)} with --model")
        return None
    return SubjectRequest(
        model=options["model"],
        base_url=options["base_url"],
        headers=options["headers"],
        settings=options["settings"],
        tools=options["tools"],
        tool_choice=options["tool_choice"],
        price=options["price"] or _looked_up(options),
        request_timeout_s=options["request_timeout"],
        request_attempts=options["request_attempts"],
        context_window=options["context_window"],
        stream=options["stream"],
        idle_timeout_s=options["idle_timeout"],
        served=options["served"],
        requests_at_once=options["requests_at_once"],
        requests_per_minute=options["requests_per_minute"],
        vllm_host=options["vllm_host"],
        vllm_program=options["vllm_program"],
        vllm_arguments=options["vllm_arguments"],
    )


def _as_price(price: tuple[float | None, ...]) -> Price:
    prompt, completion, cached, written = (*price, None, None)[:4]
    return Price(
        prompt_per_million=prompt or 0.0,
        completion_per_million=completion or 0.0,
        cached_per_million=cached,
        written_per_million=written,
    )


def _looked_up(options: Mapping[str, Any]) -> tuple[float | None, ...] | None:
    """Return what the price table says; None where it does not have the model, or there is nothing to pay."""
    model = priced_name(options["model"], Sampling.of(options["settings"]))
    if model is None:
        return None
    try:
        price = Prices.usual(options["prices"]).of(model)
    except PriceFault as fault:
        raise NameUnknown(str(fault)) from fault
    if price is None:
        return None
    return (
        price.prompt_per_million,
        price.completion_per_million,
        price.cached_per_million,
        price.written_per_million,
    )


def _price(_context: click.Context, _option: click.Parameter, text: str | None) -> tuple[float, ...] | None:
    if text is None:
        return None
    try:
        prices = tuple(float(part) for part in text.split(","))
    except ValueError:
        prices = ()
    if len(prices) not in {2, 3}:
        raise click.BadParameter(f"{text!r} is not two or three numbers with commas between")
    if not all(0 <= price < float("inf") for price in prices):
        raise click.BadParameter("a price is a number from 0 up")
    return prices


def _pairs(texts: Sequence[str]) -> dict[str, str]:
    pairs = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise click.BadParameter(f"{text!r} is not NAME=VALUE")
        pairs[name.strip()] = value.strip()
    return pairs


def _headers(_context: click.Context, _option: click.Parameter, texts: Sequence[str]) -> dict[str, str]:
    headers = _pairs(texts)
    for name, value in headers.items():
        if any(part in name.lower() for part in _SECRET) and not value.startswith("env:"):
            raise click.BadParameter(
                f"{name} would be kept with the study: export it and write {name}=env:VARIABLE"
            )
    return headers


def _arguments(_context: click.Context, _option: click.Parameter, texts: Sequence[str]) -> dict[str, str]:
    return _pairs(texts)


def _settings(_context: click.Context, _option: click.Parameter, texts: Sequence[str]) -> dict[str, Any]:
    return {name: _plain(value) for name, value in _pairs(texts).items()}


def _plain(text: str) -> Any:
    """Read a value as JSON where it is some, and as a text where it is not."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def subject_options(*, default: str | None) -> Callable[[Decorated], Decorated]:
    """Add the options that name a subject; without a default the model is optional."""

    def decorate(command: Decorated) -> Decorated:
        for option in reversed((*_naming(default), *_ASKING, *_SERVING)):
            command = option(command)
        return command

    return decorate


def _naming(default: str | None) -> tuple[Callable[[Any], Any], ...]:
    instead = "" if default else " In place of the script's."
    return (
        click.option(
            "--model",
            "-m",
            default=default,
            show_default=default is not None,
            help=f"Subject: a name from `redline list subjects`, or module:attribute.{instead}",
        ),
        click.option("--base-url", help="Of an OpenAI-compatible API, for example http://HOST:PORT/v1."),
    )


_ASKING: tuple[Callable[[Any], Any], ...] = (
    click.option(
        "--set",
        "settings",
        multiple=True,
        metavar="NAME=VALUE",
        callback=_settings,
        help="A sampling setting (temperature, top_p, max_tokens, or whatever the server knows), "
        "or one of a LangChain model's constructor; values are JSON or text. seeded=false sends no seeds.",
    ),
    click.option(
        "--header",
        "headers",
        multiple=True,
        metavar="NAME=VALUE",
        callback=_headers,
        help="Sent with each request. VALUE may be env:VARIABLE, which keeps a secret out of the record.",
    ),
    click.option(
        "--tools",
        type=click.Choice(["native", "text"]),
        default="native",
        show_default=True,
        help="`text` for subjects that know no tool calls.",
    ),
    click.option(
        "--tool-choice",
        type=click.Choice(["auto", "required"]),
        default="auto",
        show_default=True,
        help="`required`: a turn that may call a tool has to, by guided decoding where the server can.",
    ),
    click.option(
        "--price",
        metavar="IN,OUT[,CACHED]",
        callback=_price,
        help="Of a million prompt, completion and cached prompt tokens, for example 0.5,1.5,0.05; 0,0 for a "
        "server of your own. [default: from the price table]",
    ),
    click.option(
        "--prices",
        type=click.Path(path_type=Path, dir_okay=False),
        help="A price table laid over the one that comes with redline. "
        "[default: REDLINE_PRICES, or ~/.config/redline/prices.toml]",
    ),
    click.option(
        "--request-timeout",
        type=click.FloatRange(min=0, min_open=True),
        default=120.0,
        show_default=True,
        help="Seconds for one request to the subject.",
    ),
    click.option(
        "--request-attempts",
        type=click.IntRange(min=1),
        default=5,
        show_default=True,
        help="How often the subject is asked for one answer before its server has failed.",
    ),
    click.option(
        "--context-window",
        type=click.IntRange(min=1),
        metavar="TOKENS",
        help="Tokens the subject takes at once, its answer among them. "
        "[default: what its server says, or what is known of its name]",
    ),
    click.option(
        "--stream",
        is_flag=True,
        help="Have answers sent in pieces: a server that hangs is told from one with much to say.",
    ),
    click.option(
        "--idle-timeout",
        type=click.FloatRange(min=0, min_open=True),
        default=IDLE_S,
        show_default=True,
        help="Seconds between two pieces of an answer, with --stream.",
    ),
    click.option(
        "--served",
        multiple=True,
        metavar="NAME",
        help="What the server may call the model beside its name and releases of it, `*` for any text. "
        "A trial that another model answered is void.",
    ),
    click.option(
        "--requests-at-once",
        type=click.IntRange(min=1),
        help="Most requests to the subject's server at a time, over all trials. [default: what it bears]",
    ),
    click.option(
        "--requests-per-minute",
        type=click.IntRange(min=1),
        help="Most requests to the subject's server in any minute. [default: what it bears]",
    ),
)

_SERVING: tuple[Callable[[Any], Any], ...] = (
    click.option(
        "--vllm-host",
        default="",
        metavar="HOST",
        help="Where vllm:NAME is served: ssh://USER@HOST:PORT or vm:IMAGE[,gpu=ADDRESS]. [default: here]",
    ),
    click.option(
        "--vllm-program",
        metavar="PATH",
        help="The vLLM there: a python, a virtual environment or a vllm program. [default: looked for]",
    ),
    click.option(
        "--vllm-arg",
        "vllm_arguments",
        multiple=True,
        metavar="NAME=VALUE",
        callback=_arguments,
        help="An argument of `vllm serve`, in place of the preset's: max-model-len=65536, "
        "tool-call-parser=hermes, tensor-parallel-size=2, enforce-eager=true.",
    ),
)
