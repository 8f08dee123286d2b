"""What a server is asked for beside the conversation: how it draws an answer, and how tools are called."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["AS_USUAL", "Calling", "Sampling"]


_MEANT: Mapping[str, tuple[type, float, float, str]] = {
    "temperature": (float, 0, inf, "a number from 0 up"),
    "top_p": (float, 0, 1, "a number from 0 to 1"),
    "max_tokens": (int, 1, inf, "a whole number from 1 up"),
}


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How an answer is drawn. None leaves a setting to the server.

    Raises:
        ValueError: a setting is nothing that any server takes.
    """

    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    """Longest answer, in tokens."""
    seeded: bool = True
    """Each call carries its trial's seed; off for servers that refuse one."""
    more: Mapping[str, Any] = field(default_factory=dict)
    """Further fields of the request, as the server knows them, for example `top_k` or `reasoning_effort`."""

    def __post_init__(self) -> None:
        for name, (kind, least, most, meant) in _MEANT.items():
            value: Any = getattr(self, name)
            if value is None:
                continue
            number = isinstance(value, (int, kind)) and not isinstance(value, bool)
            if not number or not least <= value <= most:
                raise ValueError(f"{name} is {value!r}: it is {meant}")
        if not isinstance(self.seeded, bool):
            raise ValueError(f"seeded is {self.seeded!r}: it is true or false")  # noqa: TRY004 - as the others

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Sampling:
        """Return the sampling that plain settings ask for; what has no place of its own is sent as it is."""
        named = {
            name: settings[name]
            for name in ("temperature", "top_p", "max_tokens", "seeded")
            if name in settings
        }
        return cls(**named, more={name: value for name, value in settings.items() if name not in named})

    def body(self) -> dict[str, Any]:
        """Return the fields of a request; the seed is not among them."""
        fields = {"temperature": self.temperature, "top_p": self.top_p, "max_tokens": self.max_tokens}
        return {**{name: value for name, value in fields.items() if value is not None}, **self.more}


@dataclass(frozen=True, kw_only=True)
class Calling:
    """How tools are called, where the server knows tool calls."""

    choice: Literal["auto", "required"] = "auto"
    """`required` where every turn that may call a tool has to, as a guided or random subject needs it."""
    parallel: bool | None = None
    """Whether one answer may hold several calls; None leaves it to the server."""
    strict: bool = False
    """The server holds arguments to their schema while it writes them, where it can."""
    longest_text: int | None = None
    """Of an argument, in characters, which are then plain: for a model that would not come to an end by
    itself. None leaves texts as the tools' schemas have them."""


AS_USUAL = Calling()
