"""Options that name a subject, and how it is asked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import click
from click.core import ParameterSource
from pydantic import BaseModel, ConfigDict

from ablation.cli.grouping import heading_of, under
from ablation.cli.loading import load_object
from ablation.cli.option_values import read_arguments, read_headers, read_price, read_settings
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

_HEADINGS = ("Subject", "How the subject is asked", "A subject that redline serves (vllm:NAME)")
_subject, _asking, _serving = map(under, _HEADINGS)

_VLLM = ("vllm_host", "vllm_program", "vllm_arguments")
_HTTP = ("base_url", "headers", "stream", "idle_timeout", "served")
_NOT_FOR: Mapping[str, tuple[str, ...]] = {
    "openai": _VLLM,
    "vllm": _HTTP,
    "langchain": (*_VLLM, *_HTTP, "request_timeout", "request_attempts"),
    "simulated": (*_VLLM, *_HTTP, "request_timeout", "request_attempts", "tool_choice"),
}
"""Provider -> options that would change nothing about its subjects."""


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
    """Return what the options ask for; None where they name no model.

    Raises:
        UsageError: an option is given that has no meaning for the model.
    """
    model, given = options["model"], _given()
    if model is None:
        _refuse([flag for name, flag in given.items() if name != "prices"], without="--model")
        return None
    idle = [name for name in given if name in _NOT_FOR.get(model.partition(":")[0], ())]
    _refuse([given[name] for name in idle if name in _VLLM], without="--model vllm:NAME")
    _refuse([given[name] for name in idle if name in _HTTP], without="--model openai:NAME")
    _refuse([given[name] for name in idle], without="--model openai:NAME or vllm:NAME")
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


def _given() -> dict[str, str]:
    """Return the options about a subject, its name aside, that stand on the command line, and their flags."""
    context = click.get_current_context()
    return {
        option.name: option.opts[0]
        for option in context.command.params
        if option.name
        and option.name != "model"
        and heading_of(option) in _HEADINGS
        and context.get_parameter_source(option.name) is ParameterSource.COMMANDLINE
    }


def _refuse(flags: Sequence[str], *, without: str) -> None:
    if flags:
        raise click.UsageError(f"{' and '.join(flags)} go{'es' * (len(flags) == 1)} with {without}")


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


def subject_options(
    *, default: str | None, otherwise: str = "In place of the script's."
) -> Callable[[Decorated], Decorated]:
    """Add the options that name a subject; without a default, `otherwise` says what the model is for."""

    def decorate(command: Decorated) -> Decorated:
        for option in reversed((*_naming(default, otherwise), *_ASKING, *_SERVING)):
            command = option(command)
        return command

    return decorate


def _naming(default: str | None, otherwise: str) -> tuple[Callable[[Any], Any], ...]:
    instead = "" if default else f" {otherwise}"
    return (
        _subject(
            "--model",
            "-m",
            default=default,
            show_default=default is not None,
            metavar="NAME",
            help=f"A name from `redline list subjects`, or module:attribute.{instead}",
        ),
        _subject(
            "--base-url", metavar="URL", help="Of an OpenAI-compatible API, for example http://HOST:PORT/v1."
        ),
    )


_ASKING: tuple[Callable[[Any], Any], ...] = (
    _asking(
        "--set",
        "settings",
        multiple=True,
        metavar="NAME=VALUE",
        callback=read_settings,
        help="A sampling setting (temperature, top_p, max_tokens, or whatever the server knows), "
        "or one of a LangChain model's constructor; values are JSON or text. seeded=false sends no seeds.",
    ),
    _asking(
        "--header",
        "headers",
        multiple=True,
        metavar="NAME=VALUE",
        callback=read_headers,
        help="Sent with each request. VALUE may be env:VARIABLE, which keeps a secret out of the record.",
    ),
    _asking(
        "--tools",
        type=click.Choice(["native", "text"]),
        default="native",
        show_default=True,
        help="`text` for subjects that know no tool calls.",
    ),
    _asking(
        "--tool-choice",
        type=click.Choice(["auto", "required"]),
        default="auto",
        show_default=True,
        help="`required`: a turn that may call a tool has to, by guided decoding where the server can.",
    ),
    _asking(
        "--price",
        metavar="IN,OUT[,CACHED]",
        callback=read_price,
        help="Of a million prompt, completion and cached prompt tokens, for example 0.5,1.5,0.05; 0,0 for a "
        "server of your own. [default: from the price table]",
    ),
    _asking(
        "--prices",
        type=click.Path(path_type=Path, dir_okay=False),
        help="A price table laid over the one that comes with redline. "
        "[default: REDLINE_PRICES, or ~/.config/redline/prices.toml]",
    ),
    _asking(
        "--request-timeout",
        type=click.FloatRange(min=0, min_open=True),
        metavar="SECONDS",
        default=120.0,
        show_default=True,
        help="For one request to the subject.",
    ),
    _asking(
        "--request-attempts",
        type=click.IntRange(min=1),
        metavar="N",
        default=5,
        show_default=True,
        help="How often the subject is asked for one answer before its server has failed.",
    ),
    _asking(
        "--context-window",
        type=click.IntRange(min=1),
        metavar="TOKENS",
        help="Tokens the subject takes at once, its answer among them. "
        "[default: what its server says, or what is known of its name]",
    ),
    _asking(
        "--stream",
        is_flag=True,
        help="Have answers sent in pieces: a server that hangs is told from one with much to say.",
    ),
    _asking(
        "--idle-timeout",
        type=click.FloatRange(min=0, min_open=True),
        metavar="SECONDS",
        default=IDLE_S,
        show_default=True,
        help="Between two pieces of an answer, with --stream.",
    ),
    _asking(
        "--served",
        multiple=True,
        metavar="NAME",
        help="What the server may call the model beside its name and releases of it, `*` for any text. "
        "A trial that another model answered is void.",
    ),
    _asking(
        "--requests-at-once",
        type=click.IntRange(min=1),
        metavar="N",
        help="Most requests to the subject's server at a time, over all trials. [default: what it bears]",
    ),
    _asking(
        "--requests-per-minute",
        type=click.IntRange(min=1),
        metavar="N",
        help="Most requests to the subject's server in any minute. [default: what it bears]",
    ),
)

_SERVING: tuple[Callable[[Any], Any], ...] = (
    _serving(
        "--vllm-host",
        default="",
        show_default=False,
        metavar="HOST",
        help="Where vllm:NAME is served: ssh://USER@HOST:PORT or vm:IMAGE[,gpu=ADDRESS]. [default: here]",
    ),
    _serving(
        "--vllm-program",
        metavar="PATH",
        help="The vLLM there: a python, a virtual environment or a vllm program. [default: looked for]",
    ),
    _serving(
        "--vllm-arg",
        "vllm_arguments",
        multiple=True,
        metavar="NAME=VALUE",
        callback=read_arguments,
        help="An argument of `vllm serve`, in place of the preset's: max-model-len=65536, "
        "tool-call-parser=hermes, tensor-parallel-size=2, enforce-eager=true.",
    ),
)
