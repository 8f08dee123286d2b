"""What the last drill of the kill switch found on this host: in the user's cache, quoted by certificates."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from environments.places import cache
from environments.types import Certificate

if TYPE_CHECKING:
    from collections.abc import Iterable

    from environments.drill.quiet import Quiet

__all__ = ["remember", "time_to_quiet"]

_NONE = Certificate.time_to_quiet
_LEASED = {"stopped": "a stop", "hung": "a hang"}
_AT_ONCE = {"killed": "a kill", "warden killed": "the warden's end", "halted": "a halt"}

_EVENTS = {**_AT_ONCE, **_LEASED}


def _place(provider: str) -> Path:
    return cache() / "drills" / f"{re.sub(r'[^A-Za-z0-9_.-]', '_', provider)}.json"


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def remember(provider: str, found: Iterable[Quiet]) -> Path:
    """Keep what a drill found, in place of what the one before found; return where."""
    path = _place(provider)
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"provider": provider, "boot_id": _boot_id(), "events": [asdict(each) for each in found]}
    beside = path.with_suffix(".new")
    beside.write_text(json.dumps(content, indent=2) + "\n")
    beside.replace(path)
    return path


def time_to_quiet(provider: str) -> str:
    """Return what a certificate says of the kill switch, as drilled since this host was started."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        content = json.loads(_place(provider).read_text())
        if content["boot_id"] == _boot_id() and content["events"]:
            return _sentence(content["events"])
    return _NONE


def _sentence(events: list[dict[str, Any]]) -> str:
    worst: dict[str, float] = {}
    for each in events:
        if each["seconds"] is None or each["left"]:
            return (
                f"the drill of {each['when'][:10]} failed: something was left after {_EVENTS[each['event']]}"
            )
        leased = each["event"] in _LEASED
        beyond = max(0.0, each["seconds"] - each["lease_s"]) if leased else each["seconds"]
        worst[each["event"]] = max(worst.get(each["event"], 0.0), beyond)
    said = [f"{worst[event]:.1f} s after {name}" for event, name in _AT_ONCE.items() if event in worst]
    said += [
        f"lease + {worst[event]:.1f} s after {name}" for event, name in _LEASED.items() if event in worst
    ]
    return f"{', '.join(said)}; drilled {max(each['when'] for each in events)[:10]}"
