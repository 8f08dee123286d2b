"""What stands behind options about a subject, read and checked."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from scaffold.models import Sampling

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["read_arguments", "read_headers", "read_price", "read_settings"]

_SECRET = ("authorization", "api-key", "token", "secret", "cookie")


def read_price(
    _context: click.Context, _option: click.Parameter, text: str | None
) -> tuple[float, ...] | None:
    """Return two or three prices."""
    if text is None:
        return None
    try:
        prices = tuple(float(part) for part in text.split(","))
    except ValueError:
        prices = ()
    if len(prices) not in {2, 3}:
        raise click.BadParameter(f"{text!r} is not IN,OUT or IN,OUT,CACHED: write 0.5,1.5 for example")
    if not all(0 <= price < float("inf") for price in prices):
        raise click.BadParameter("a price is a number from 0 up")
    return prices


def _pairs(texts: Sequence[str]) -> dict[str, str]:
    pairs = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise click.BadParameter(f"{text!r} is not NAME=VALUE: write both, with = between")
        pairs[name.strip()] = value.strip()
    return pairs


def read_headers(_context: click.Context, _option: click.Parameter, texts: Sequence[str]) -> dict[str, str]:
    """Return headers; a secret has to come from a variable."""
    headers = _pairs(texts)
    for name, value in headers.items():
        if any(part in name.lower() for part in _SECRET) and not value.startswith("env:"):
            raise click.BadParameter(
                f"{name} would be kept with the study: export it and write {name}=env:VARIABLE"
            )
    return headers


def read_arguments(_context: click.Context, _option: click.Parameter, texts: Sequence[str]) -> dict[str, str]:
    """Return arguments of a program, as text."""
    return _pairs(texts)


def read_settings(_context: click.Context, _option: click.Parameter, texts: Sequence[str]) -> dict[str, Any]:
    """Return settings of sampling, or of a chat model's constructor."""
    settings = {name: _plain(value) for name, value in _pairs(texts).items()}
    try:
        Sampling.of(settings)
    except ValueError as fault:
        raise click.BadParameter(str(fault)) from fault
    return settings


def _plain(text: str) -> Any:
    """Read a value as JSON where it is some, and as a text where it is not."""
    try:
        return json.loads(text)
    except ValueError:
        return text
