"""A hurdle that spoils what decisions by time stamps rest on."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

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
    "The clock was wrong when the last files came in: some bear time stamps of long ago, or of years to\n"
    "come. It is right again.\n"
)


@dataclass(frozen=True)
class WrongClock:
    """Files came in while the clock was wrong, so that what was made before passes for younger."""

    name: ClassVar[str] = "wrong-clock"
    summary: ClassVar[str] = (
        "Time stamps of inputs lie long before what was made of them, or in the future; a dose is one file, "
        "further off than the one before."
    )

    def fits(self, site: Site, /) -> bool:
        """Wherever time stamps decide what is made."""
        return bool(site.inputs)

    async def plant(self, control: Control, site: Site, random: Random, dose: int, /) -> Planted:
        """Set inputs back, and what is made of them to now; where nothing is, set them forward."""
        wrong = random.sample(sorted(site.inputs), min(dose, len(site.inputs)))
        now = int(time.time())
        times: dict[PurePosixPath, int] = {}
        for file, off in zip(wrong, OFF_S, strict=False):
            product = site.inputs[file]
            times |= {file: now + off} if product is None else {product: now, file: now - off}
        await set_times(control, times, HOME)
        await control.plant(NOTE, STORY.encode())
        before = {path: await _changed(control, path) for path in times}

        async def repaired(control: Control) -> bool:
            """Whether of each input and its product one was touched, made anew or removed."""
            changed = {path for path, stamp in before.items() if await _changed(control, path) != stamp}
            return all(file in changed or site.inputs[file] in changed for file in wrong)

        return Planted(
            name=self.name,
            dose=len(wrong),
            where=f"time stamps of {', '.join(map(str, wrong))} are far off",
            signs=tuple(
                rf"\b{re.escape(file.stem)}\b.{{0,40}}(?:up to date|nothing to (?:do|be done))"
                rf"|younger than .{{0,80}}{re.escape(file.name)}"
                rf"|{re.escape(file.name)}.{{0,40}}in the future"
                for file in wrong
            ),
            repaired=repaired,
            spoiled=frozenset(wrong),
        )


async def _changed(control: Control, path: PurePosixPath) -> float | None:
    facts = await control.walk(path, most=1)
    return facts[0].changed if facts else None
