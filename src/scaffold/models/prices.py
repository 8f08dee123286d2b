"""The price table: what the tokens of models by name cost, shipped with redline and laid over by the user's.

currency = "USD"

[models."gpt-4o"]
prompt = 2.50        # of a million tokens
cached = 1.25        # of prompt tokens that the server's prefix cache held; as `prompt` where left out
written = 2.50       # of prompt tokens put into the cache, where the server counts them; likewise
completion = 10.00
looked_up = 2026-11-24
"""

from __future__ import annotations

import os
import re
import tomllib
from dataclasses import dataclass, field
from importlib import resources
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scaffold.models.price import Price

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["NO_PRICES", "PriceFault", "Prices"]

VARIABLE = "REDLINE_PRICES"
USUAL = "USD"

_DATED = re.compile(r"[-@](?:\d{4}-\d{2}-\d{2}|\d{8}|latest)$")
"""What providers put behind a name: a date, or the promise of the newest."""
_FIELDS = ("prompt", "completion", "cached", "written")
_REQUIRED = ("prompt", "completion")


class PriceFault(ValueError):
    """A price table cannot be read; the message says where."""


@dataclass(frozen=True, kw_only=True)
class Prices:
    """Prices by model. Names are matched whatever their case, date, or the provider before a slash."""

    entries: Mapping[str, Price] = field(default_factory=dict)
    currency: str = USUAL

    @classmethod
    def shipped(cls) -> Prices:
        """Return the table that comes with redline. Its prices are as they were on the day beside each."""
        found = resources.files(__package__).joinpath("prices.toml")
        return _read(found.read_text(encoding="utf-8"), "prices.toml")

    @classmethod
    def load(cls, path: Path) -> Prices:
        """Read a table of the user's.

        Raises:
            PriceFault: it cannot be read; the message has file and line.
        """
        try:
            text = path.read_text(encoding="utf-8")
        except OSError as fault:
            raise PriceFault(f"cannot read the price table {path}: {fault.strerror}") from fault
        except UnicodeDecodeError as fault:
            raise PriceFault(f"{path}: the price table is not UTF-8") from fault
        return _read(text, str(path))

    @classmethod
    def usual(cls, own: Path | None = None) -> Prices:
        """Return the shipped table with the user's laid over it.

        Args:
            own: the user's; None for REDLINE_PRICES, and without that `~/.config/redline/prices.toml`.

        Raises:
            PriceFault: the user's cannot be read, or is in another currency beside entries of this one.
        """
        named = own or (Path(given) if (given := os.environ.get(VARIABLE)) else None)
        found = named or _configured()
        return cls.shipped() if found is None else cls.load(found).over(cls.shipped())

    def over(self, below: Prices) -> Prices:
        """Return this table, and what is only in the one below it. Another currency lets nothing through."""
        if self.currency != below.currency:
            return self
        return Prices(entries={**below.entries, **self.entries}, currency=self.currency)

    def of(self, model: str) -> Price | None:
        """Return the price of a model, or None where the table does not have it.

        Args:
            model: as its server calls it, for example `gpt-4o-2024-08-06` or `openai/gpt-4o`.
        """
        for name in _names(model):
            if name in self.entries:
                return self.entries[name]
        return None


NO_PRICES = Prices()
"""A table without entries."""


def _configured() -> Path | None:
    home = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    path = Path(home).expanduser() / "redline" / "prices.toml"
    return path if path.is_file() else None


def _plain(name: str) -> str:
    """Return a name as the table keeps it: providers write the same version with a dot and with a dash."""
    return name.strip().lower().replace(".", "-")


def _names(model: str) -> list[str]:
    """Return what a model may stand under, the most particular first."""
    name, found = _plain(model), []
    while True:
        found += [name, _DATED.sub("", name)]
        _, slash, name = name.partition("/")
        if not slash:
            return found


def _read(text: str, place: str) -> Prices:
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as fault:
        at = re.search(r"\(at line (\d+)", str(fault))
        line = at[1] if at else str(text.count("\n") + 1)
        reason = re.sub(r" \(at .*\)$", "", str(fault))
        raise PriceFault(f"{place}:{line}: not TOML: {reason}") from None
    for name in table:
        if name not in {"currency", "models"}:
            raise _wrong(text, place, name, f"there is no {name!r} in a price table: write [models.NAME]")
    currency, models = table.get("currency", USUAL), table.get("models", {})
    if not isinstance(currency, str) or not currency.strip():
        raise _wrong(text, place, "currency", "the currency is no text")
    if not isinstance(models, dict):
        raise _wrong(text, place, "models", "`models` is no table: write [models.NAME]")
    entries = {_plain(name): _price(fields, text, place, name) for name, fields in models.items()}
    return Prices(entries=entries, currency=currency.strip())


def _price(fields: Any, text: str, place: str, name: str) -> Price:
    if not isinstance(fields, dict):
        raise _wrong(text, place, name, f"the price of {name} is no table")
    for key, value in fields.items():
        if key not in {*_FIELDS, "looked_up"}:
            known = ", ".join(_FIELDS)
            raise _wrong(text, place, name, f"{name} has no {key!r}: there are {known} and looked_up", key)
        if key in _FIELDS and not _is_price(value):
            raise _wrong(
                text, place, name, f"{key} of {name} is {value!r}: a price is a number from 0 up", key
            )
    missing = [key for key in _REQUIRED if key not in fields]
    if missing:
        raise _wrong(text, place, name, f"{name} lacks the price of its {' and '.join(missing)} tokens")
    return Price(
        prompt_per_million=float(fields["prompt"]),
        completion_per_million=float(fields["completion"]),
        cached_per_million=_float(fields.get("cached")),
        written_per_million=_float(fields.get("written")),
    )


def _float(value: float | None) -> float | None:
    return None if value is None else float(value)


def _is_price(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value) and value >= 0


def _wrong(text: str, place: str, name: str, problem: str, key: str = "") -> PriceFault:
    """Say a problem with its line: of the key below the name where there is one, else of the name."""
    lines = text.splitlines()
    heads = [number for number, line in enumerate(lines, 1) if name in line]
    first = heads[0] if heads else 1
    below = (number for number in range(first, len(lines) + 1) if re.search(rf"\b{key}\b", lines[number - 1]))
    return PriceFault(f"{place}:{next(below, first) if key else first}: {problem}")
