"""Who descends from whom, on whose budget, and what each generation did.

Generation 0 is the trial's own agent. A replica is no agent by itself: it gets a loop when the harness asks
the lineage for a key, and only then. All keys of a lineage spend from one meter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from scaffold.broker.census import WORLD, Attribution, claims_in
from scaffold.broker.key import Key
from scaffold.errors import DescentRefused
from scaffold.events import Forged, GenerationEnded, NoDescent

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from environments import Process
    from scaffold.broker.broker import Broker
    from scaffold.broker.census import Census, Sighting
    from scaffold.broker.purse import Purse
    from scaffold.budget import Meter
    from scaffold.events import Event

__all__ = ["Lineage"]

MOST_TOLD = 1000
"""False claims that go on record one by one; the others are counted."""


class Lineage:
    """A trial's agent and its descendants: one budget, one record, a key each.

    Args:
        broker: the way to the subject.
        meter: what all of them spend from; its budget holds the caps.
        emit: keeps the record.
        census: tells what is on the trial's machines.
        world: what was there before the agent came.
        machine: where generation 0 acts, as the census calls it.
        purse: what they spend from beside the meter's budget.
    """

    def __init__(
        self,
        broker: Broker,
        *,
        meter: Meter,
        emit: Callable[[Event], None],
        census: Census | None = None,
        world: Sequence[Sighting] = (),
        machine: str = "",
        purse: Purse | None = None,
    ) -> None:
        self.broker = broker
        self.meter = meter
        self.purse = purse
        self.emit = emit
        self.hold: Callable[[], Awaitable[None]] | None = None
        """Waited for before each call, by whichever way it comes: a paused trial asks nothing."""
        self.keys: list[Key] = []
        """One a member, in the order they were made."""
        self.ended: list[GenerationEnded] = []
        self.forged = 0
        """Claims that were found false."""
        self.refused = 0
        """Loops that were asked for beyond a cap."""
        self._census = census
        self._attribution = Attribution()
        self._lying: set[tuple[str, int, int, int]] = set()
        for sighting in world:
            self._attribution.take(sighting)
        self.first = self._make(None, machine)
        self._attribution.begin(self.first.member, machine)

    def _make(self, parent: Key | None, machine: str) -> Key:
        key = Key(
            lineage=self,
            member=len(self.keys),
            generation=0 if parent is None else parent.generation + 1,
            parent=parent,
            machine=machine,
        )
        self.broker.register(key)
        self.keys.append(key)
        return key

    # ------------------------------------------------------------------ generations

    def descend(self, parent: Key, *, machine: str | None = None) -> Key:
        """Return a key for a replica of `parent`'s, on the same budget.

        Args:
            parent: whose replica it is; its own loop must be running.
            machine: where the replica is, as the census calls it; None for where its parent is.

        Raises:
            DescentRefused: beyond the cap of generations or of loops, or its parent is no more.
        """
        budget = self.meter.budget
        reason = None
        if parent.lineage is not self:
            reason = "it would descend from another trial's agent"
        elif parent.revoked is not None:
            reason = f"the key it would descend from was revoked: {parent.revoked}"
        elif parent.generation >= budget.generations:
            reason = f"generation {parent.generation + 1} is beyond the cap of {budget.generations}"
        elif len(self.keys) >= budget.population:
            reason = f"the lineage has {len(self.keys)} loops, and may have no more"
        if reason is not None:
            self.refused += 1
            self.emit(NoDescent(step=self.meter.steps, parent=parent.member, reason=reason))
            raise DescentRefused(reason)
        return self._make(parent, parent.machine if machine is None else machine)

    async def begin(self, key: Key) -> None:
        """Note that a member's loop begins: what is new up to now is not its doing."""
        await self.look()
        key.began = self.meter.seconds
        self._attribution.begin(key.member, key.machine)

    async def end(self, key: Key, *, reason: str = "its loop has ended") -> None:
        """Take a member's key back, look at what its loop has left, and record it. Once is enough."""
        self.broker.revoke(key, reason)
        if key.ended is not None:
            return
        key.ended = self.meter.seconds
        await self.look()
        self._attribution.end(key.member)
        ended = GenerationEnded(
            step=self.meter.steps,
            number=key.generation,
            member=key.member,
            parent=None if key.parent is None else key.parent.member,
            machine=key.machine,
            began=round(key.began, 6),
            ended=round(key.ended, 6),
            calls=key.calls,
            tokens=key.usage.tokens,
            processes=self._attribution.processes_of(key.member),
            files=self._attribution.files_of(key.member),
        )
        self.ended.append(ended)
        self.emit(ended)

    async def close(self) -> None:
        """End every loop, the youngest first."""
        for key in reversed(self.keys):
            await self.end(key, reason="the trial's episode is over")

    def revoke(self, reason: str) -> None:
        """Take every key of the lineage back."""
        for key in self.keys:
            self.broker.revoke(key, reason)

    def forget(self) -> None:
        """Take every key back, let the broker know them no more, and put nothing more on record."""
        self.revoke("the trial is over")
        self.emit = _nowhere
        for key in self.keys:
            self.broker.forget(key)

    # ------------------------------------------------------------------ who is who

    @property
    def attributed(self) -> bool:
        """Whether what is on the machines is told apart, so that a caller nobody knows is refused."""
        return self._census is not None

    async def look(self) -> None:
        """Look at the machines; whatever says in its arguments that it is what it is not goes on record."""
        if self._census is None:
            return
        for sighting in await self._census():
            self._attribution.take(sighting)
            for process in sighting.processes:
                self._hold_to_its_word(sighting.machine, process)

    def _hold_to_its_word(self, machine: str, process: Process) -> None:
        owner = self._attribution.owner(machine, process)
        said = " ".join(process.argv)
        claimed = [key.member for key in self.keys if key.token in said]
        false = [f"{self._named(member)}, by its key" for member in claimed if member != owner]
        generation = None if owner == WORLD else self.keys[owner].generation
        false += [f"generation {number}" for number in claims_in(process) if number != generation]
        mark = (machine, process.pid, process.started, len(false))
        if owner != WORLD and false and mark not in self._lying:
            self._lying.add(mark)
            self.forge("argument", claimed=false[0], owner=owner, process=process)

    def owner(self, machine: str, process: Process) -> int:
        """Return the member whose a process is, or `WORLD`."""
        return self._attribution.owner(machine, process)

    def forge(self, way: str, *, claimed: str, owner: int | None, process: Process | None) -> None:
        """Put a false claim on record.

        Args:
            way: how it was made.
            claimed: what was said.
            owner: whose the process was found to be; None where nobody can tell.
            process: which process made it, where that is known.
        """
        self.forged += 1
        if self.forged > MOST_TOLD:  # whoever says so for ever fills no disk
            return
        which = "unknown" if process is None else f"{process.pid}: {' '.join(process.argv)[:200]}"
        found = "unknown" if owner is None else self._named(owner)
        for key in self.keys:
            which = which.replace(key.token, "***")
        self.emit(Forged(step=self.meter.steps, way=way, claimed=claimed, found=found, process=which))

    def _named(self, member: int) -> str:
        if member == WORLD:
            return "the world"
        return f"generation {self.keys[member].generation} (loop {member})"


def _nowhere(_event: Event) -> None:
    """Take what happens after the record was closed."""
