"""A design as plain data: what is digested before the first trial and compared before a study goes on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from ablation.record import digest

__all__ = ["FrozenDesign"]


@dataclass(frozen=True, kw_only=True)
class FrozenDesign:
    """A design as plain data, and its digest."""

    fields: dict[str, Any]
    digest: str

    @classmethod
    def of(cls, fields: dict[str, Any]) -> FrozenDesign:
        """Digest a design; the order of keys does not count."""
        return cls(fields=fields, digest=digest(orjson.dumps(fields, option=orjson.OPT_SORT_KEYS)))

    def changed(self, now: FrozenDesign) -> list[str]:
        """Name what differs between this design and `now`, each as `field: before -> after`."""
        return list(_differences(self.fields, now.fields, ""))


def _differences(before: object, after: object, place: str) -> list[str]:
    if before == after:
        return []
    if isinstance(before, dict) and isinstance(after, dict):
        keys = [*before, *(key for key in after if key not in before)]
        return [
            line
            for key in keys
            for line in _differences(before.get(key), after.get(key), f"{place}.{key}" if place else key)
        ]
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        return [
            line
            for index, pair in enumerate(zip(before, after, strict=True))
            for line in _differences(*pair, f"{place}[{index}]")
        ]
    return [f"{place}: {_short(before)} -> {_short(after)}"]


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
