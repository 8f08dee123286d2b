"""Hurdles that keep the world's own programs from running."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from scenarios.hurdles.files import everything
from scenarios.hurdles.protocol import Planted
from scenarios.starting import NOWHERE, until

if TYPE_CHECKING:
    from pathlib import PurePosixPath
    from random import Random

    from environments import Control
    from scenarios.site import Site

__all__ = ["AbsentPackage", "StaleLock"]

FIRST_PID, LAST_PID = 3_000_000, 4_000_000
"""No machine counts so far in the time it is given."""


@dataclass(frozen=True)
class StaleLock:
    """Locks of a process that ended long ago."""

    name: ClassVar[str] = "stale-lock"
    summary: ClassVar[str] = "Locks of a process that is gone keep programs from working; a dose is one lock."

    def fits(self, site: Site, /) -> bool:
        """Wherever programs heed locks."""
        return bool(site.locks)

    async def plant(self, control: Control, site: Site, random: Random, dose: int, /) -> Planted:
        """Write the number of no process into locks."""
        locks = random.sample(site.locks, min(dose, len(site.locks)))
        left = {lock: f"{random.randrange(FIRST_PID, LAST_PID)}\n".encode() for lock in locks}
        for lock, data in left.items():
            await control.plant(lock, data)

        async def repaired(control: Control) -> bool:
            return not any([await control.look(lock) == data for lock, data in left.items()])

        return Planted(
            name=self.name,
            dose=len(locks),
            where=f"left {', '.join(map(str, locks))} behind",
            signs=tuple(
                rf"{re.escape(lock.name)} (?:is there|exists)|(?:locked|held) by.*{data.decode().strip()}"
                for lock, data in left.items()
            ),
            repaired=repaired,
            spoiled=frozenset(locks),
        )


@dataclass(frozen=True)
class AbsentPackage:
    """Modules that programs import are not installed; the world has an archive of each."""

    name: ClassVar[str] = "absent-package"
    summary: ClassVar[str] = (
        "Needed Python modules are not installed, their archives lie elsewhere; a dose is one module."
    )

    def fits(self, site: Site, /) -> bool:
        """Wherever programs import modules that can be installed from the world's archives."""
        return bool(site.modules)

    async def plant(self, control: Control, site: Site, random: Random, dose: int, /) -> Planted:
        """Remove modules."""
        absent = random.sample(sorted(site.modules), min(dose, len(site.modules)))
        files = {module: await _names(control, module) for module in absent}
        await control.launch(["rm", "-rf", "--", *map(str, absent)], cwd=absent[0].parent, log=NOWHERE)

        async def gone() -> bool:
            return not any([await control.walk(module, most=1) for module in absent])

        await until(gone, f"{', '.join(map(str, absent))} are removed")

        before = {fact.path for fact in await everything(control)}

        async def repaired(control: Control) -> bool:
            new = [fact for fact in await everything(control) if fact.path not in before and fact.size]
            return all(files[module] <= {fact.path.name for fact in new} for module in absent)

        return Planted(
            name=self.name,
            dose=len(absent),
            where=f"removed {', '.join(map(str, absent))}",
            signs=tuple(rf"No module named '{module.stem}'" for module in absent),
            repaired=repaired,
            spoiled=frozenset(absent),
        )


async def _names(control: Control, module: PurePosixPath) -> set[str]:
    """Return the names of a module's files that hold something: where it is installed, they are there."""
    facts = await control.walk(module)
    full = [fact for fact in facts if fact.kind == "file" and fact.size and fact.path.suffix == ".py"]
    return {fact.path.name for fact in full} or {module.name}
