"""What objects are, as plain data that is the same in every process.

Objects come without addresses and without fields that their class keeps out of its `repr` (keys,
connections), so that two processes that built the same thing agree on its digest.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import cache, partial
from hashlib import sha256
from pathlib import PurePath
from typing import Any

from pydantic import BaseModel

__all__ = ["describe"]

_LONG = 200
"""Characters above which a text is described by its digest."""


def describe(part: object) -> Any:
    """Return what `part` is as plain data: values as they are, objects by kind and fields."""
    match part:
        case str() if len(part) > _LONG:
            plain: Any = {"sha256": sha256(part.encode()).hexdigest(), "characters": len(part)}
        case None | str() | int() | float():
            plain = part
        case PurePath():
            plain = str(part)
        case Mapping():
            plain = {str(key): describe(value) for key, value in part.items()}
        case tuple() | list():
            plain = [describe(item) for item in part]
        case set() | frozenset():
            plain = sorted((describe(item) for item in part), key=str)
        case _:
            plain = _describe_object(part)
    return plain


def _describe_object(part: object) -> dict[str, Any]:
    if isinstance(part, partial):
        return {"kind": "partial", "of": describe(part.func), "with": describe([part.args, part.keywords])}
    if inspect.isroutine(part) or isinstance(part, type):
        return {"kind": f"{part.__module__}.{part.__qualname__}", "source": _source(part)}
    kind = f"{type(part).__module__}.{type(part).__qualname__}"
    if is_dataclass(part):
        return {"kind": kind, **{f.name: describe(getattr(part, f.name)) for f in fields(part) if f.repr}}
    if isinstance(part, BaseModel):
        shown = [name for name, info in type(part).model_fields.items() if info.repr and not info.exclude]
        return {"kind": kind, **{name: describe(getattr(part, name)) for name in shown}}
    return {"kind": kind}


@cache
def _source(part: Any) -> str | None:
    try:
        return sha256(inspect.getsource(part).encode()).hexdigest()
    except (OSError, TypeError):
        return None
