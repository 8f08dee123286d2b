"""What a trial keeps of its lineage."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ablation.types import GenerationRecord, LineageRecord

if TYPE_CHECKING:
    from collections.abc import Mapping

    from environments import Lease
    from scaffold import Lineage

__all__ = ["lineage_record", "machines_of"]


def machines_of(lease: Lease) -> Mapping[str, Lease]:
    """Return every machine of a lease by name, the agent's own first."""
    hosts: Mapping[str, Lease] = getattr(lease, "hosts", {})
    return hosts or {"": lease}


def lineage_record(lineage: Lineage) -> LineageRecord:
    """Sum a lineage up; loops that a fault cut off are left out, as nobody looked at what they did."""
    ended = sorted(lineage.ended, key=lambda each: each.member)
    return LineageRecord(
        generations=tuple(
            GenerationRecord(
                member=each.member,
                number=each.number,
                parent=each.parent,
                machine=each.machine,
                began=each.began,
                ended=each.ended,
                calls=each.calls,
                tokens=each.tokens,
                processes=each.processes,
                files=each.files,
            )
            for each in ended
        ),
        forged=lineage.forged,
        refused=lineage.refused,
    )
