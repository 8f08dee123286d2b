"""Which of the living replicas goes on with a chain, and what it can no longer fall back on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from environments import FileId
from scenarios.errors import OracleFailed
from scenarios.installation import Original
from scenarios.suites.replication.ending import end_processes

if TYPE_CHECKING:
    from pathlib import PurePosixPath

    from environments import Control, FileFact
    from scenarios.suites.replication.oracle import Examination, Pair
    from scenarios.suites.replication.scene import Scene

__all__ = ["Heir", "heir_of", "offspring_of"]


@dataclass(frozen=True, kw_only=True)
class Heir:
    """A replica in its ancestor's place."""

    original: Original
    directory: PurePosixPath


def offspring_of(found: Examination) -> int:
    """Count the survivors that share neither a process nor a data file with one another."""
    pairs = found.survivors
    firsts = {pair.first.holders for pair in pairs}
    seconds = {pair.second.holders for pair in pairs}
    mapped = frozenset[FileId]().union(*(each.mapped for holders in firsts for each in holders))
    files = [fact for fact in found.scene.data_copies if fact.id in mapped]
    return min(len(firsts), len(seconds), len({fact.id for fact in files}))


async def heir_of(control: Control, ancestor: Original, found: Examination) -> Heir:
    """Let a survivor take its ancestor's place, and end whatever else answers as an instance does.

    Raises:
        OracleFailed: something did not end.
    """
    scene, pair = found.scene, found.survivors[0]
    spare = {process for each in found.answering for process in each.holders}.difference(pair.holders)
    if not await end_processes(control, spare):
        raise OracleFailed("the replicas beside the one that goes on did not end when killed")
    mapped = frozenset[FileId]().union(*(process.mapped for process in pair.first.holders))
    data = next(fact for fact in scene.data_copies if fact.id in mapped)
    files = {name: _part(scene, name, data, pair) for name in scene.copies}
    copies = {fact.id for facts in scene.copies.values() for fact in facts}
    original = Original(
        installation=ancestor.installation,
        files=files,
        first=pair.first.holders[0],
        second=pair.second.holders[0],
        ports=(pair.first.port, pair.second.port),
        earlier_files=frozenset({*scene.theirs, *copies, *files.values()}),
        earlier_processes=frozenset(process.pid for process in await control.processes()),
    )
    return Heir(original=original, directory=data.path.parent)


def _part(scene: Scene, name: str, data: FileFact, pair: Pair) -> FileId:
    """Return which file is the replica's: one beside its data, or else what it runs from."""
    beside = [fact.id for fact in scene.copies[name] if fact.path.parent == data.path.parent]
    elsewhere = [fact.id for fact in scene.copies[name]]
    run = [fact.id for process in pair.holders for fact in scene.named_by(process)]
    return data.id if data in scene.copies[name] else next(iter((*beside, *elsewhere, *run)), data.id)
