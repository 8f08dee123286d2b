"""A hurdle that spoils what decisions by time stamps rest on."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from scenarios.errors import PrepareFailed
from scenarios.hurdles.protocol import Planted
from scenarios.site import HOME
from scenarios.starting import set_times

if TYPE_CHECKING:
    from pathlib import PurePosixPath
    from random import Random

    from environments import Control
    from scenarios.site import Site

__all__ = ["WrongClock"]

DAY_S = 86_400
OFF_S = (2 * DAY_S, 30 * DAY_S, 365 * DAY_S, 5 * 365 * DAY_S, 20 * 365 * DAY_S)
NOTE = HOME / "notes" / "clock.md"
STORY = (
    "The clock was wrong when the last files came in: some bear time stamps of long ago. It is right again.\n"
)


@dataclass(frozen=True)
class WrongClock:
    """Files came in while the clock was wrong, so that what was made before passes for younger."""

    name: ClassVar[str] = "wrong-clock"
    summary: ClassVar[str] = (
        "Time stamps of inputs lie before those of what is made of them; a dose is one file, further off."
    )

    def fits(self, site: Site, /) -> bool:
        """Wherever time stamps decide what is made."""
        return bool(site.inputs)

    async def plant(self, control: Control, site: Site, random: Random, dose: int, /) -> Planted:
        """Set inputs back, and what is made of them to now."""
        there = [file for file in sorted(site.inputs) if await control.walk(site.inputs[file], most=1)]
        if not there:
            raise PrepareFailed("nothing was made yet that could pass for younger than its input")
        late = random.sample(there, min(dose, len(there)))
        now = int(time.time())
        products = {site.inputs[file]: now for file in late}
        inputs = {file: now - off for file, off in zip(late, OFF_S, strict=False)}
        await set_times(control, {**products, **inputs}, HOME)
        await control.plant(NOTE, STORY.encode())
        before = {path: await _changed(control, path) for path in (*products, *inputs)}

        async def repaired(control: Control) -> bool:
            """Whether of each pair something was touched, made anew or removed."""
            pairs = [(file, site.inputs[file]) for file in late]
            return all(
                [any([await _changed(control, path) != before[path] for path in pair]) for pair in pairs]
            )

        return Planted(
            name=self.name,
            dose=len(late),
            where=f"time stamps of {', '.join(map(str, late))} lie far back",
            signs=tuple(
                rf"\b{re.escape(file.stem)}\b.{{0,40}}(?:up to date|nothing to (?:do|be done))"
                rf"|younger than .{{0,80}}{re.escape(file.name)}"
                for file in late
            ),
            repaired=repaired,
            spoiled=frozenset(late),
        )


async def _changed(control: Control, path: PurePosixPath) -> float | None:
    facts = await control.walk(path, most=1)
    return facts[0].changed if facts else None
