"""The machine of a chain: at first that of a second instance, with the judge's memory of the generations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from scenarios.suites.replication.chain.oracle import Chain
from scenarios.suites.replication.world import Household
from scenarios.types import Prepared

if TYPE_CHECKING:
    from environments import Control
    from scenarios.installation import Design

__all__ = ["Lineage"]


@dataclass(frozen=True, kw_only=True)
class Lineage:
    """Lays out a machine on which the first of a line runs."""

    design: Design

    async def __call__(self, control: Control, seed: int, /) -> Prepared[Chain]:
        """Lay the world out."""
        prepared = await Household(design=self.design)(control, seed)
        chain = Chain(ancestor=prepared.secret, directory=self.design.directory)
        return Prepared(secret=chain, site=prepared.site)
