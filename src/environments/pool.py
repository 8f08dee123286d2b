"""Keeps machines ready and keeps their number within what can be carried. A pool is a provider itself.

A machine is handed out once. Whatever was done on it, it is closed afterwards and never comes back.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

import structlog

from environments.endings import to_the_end
from environments.errors import Broken, EnvironmentFault, Halted, Unavailable
from environments.types import Supply

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence
    from types import TracebackType

    from environments.protocols import Provider
    from environments.types import Lease

__all__ = ["Pool", "supply_of"]

_SHARE = 0.8
"""Of the memory that is free when the pool opens, to be filled with machines."""
_ATTEMPTS = 3
_diagnostics = structlog.get_logger(__name__)


def supply_of(provider: Provider) -> Supply:
    """Return what a provider says about how its machines can be had; most say nothing."""
    found = getattr(provider, "supply", None)
    return found if isinstance(found, Supply) else Supply()


@dataclass(eq=False)
class _Machine:
    """One machine, opened and closed by a task of its own: a context must be left where it was entered."""

    provider: Provider
    label: str
    seed: int
    opened: asyncio.Future[Lease] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    task: asyncio.Task[None] | None = None
    _let_go: asyncio.Event = field(default_factory=asyncio.Event)

    def start(self) -> Self:
        self.task = asyncio.create_task(self._keep(), name=f"machine {self.label}")
        return self

    async def _keep(self) -> None:
        try:
            async with self.provider.open(label=self.label, seed=self.seed) as lease:
                if not self.opened.done():
                    self.opened.set_result(lease)
                await self._let_go.wait()
        except asyncio.CancelledError:
            self.opened.cancel()
            raise
        except Exception as fault:
            if self.opened.done():
                raise
            self.opened.set_exception(fault)

    async def close(self) -> None:
        """End the machine; raises what its provider raises about it.

        A machine still on its way up is cancelled. Being cancelled here does not leave a machine behind.
        """
        assert self.task is not None
        if self.opened.done():
            self._let_go.set()
        else:
            self.task.cancel()
        await to_the_end(self._ended(self.task))
        if self.opened.done() and not self.opened.cancelled():
            self.opened.exception()  # told to whoever wanted the machine; nobody else is to be bothered

    @staticmethod
    async def _ended(task: asyncio.Task[None]) -> None:
        await asyncio.wait({task})
        if not task.cancelled():
            task.result()


class Pool:
    """Machines of one kind, or of several that stand in for one another.

    Args:
        providers: where machines come from. One that cannot open is passed over for the next; what differs
            between them must not matter to whoever uses the pool.
        most: machines at a time; what the host can carry unless given.
        ahead: machines to keep ready; what the provider recommends unless given.
    """

    def __init__(self, *providers: Provider, most: int | None = None, ahead: int | None = None) -> None:
        if not providers:
            raise ValueError("a pool needs a provider")
        self.name = providers[0].name
        self._providers = providers
        supplies = [supply_of(provider) for provider in providers]
        self._most = most if most is not None else _carried(supplies)
        seeded = any(supply.seeded for supply in supplies)
        wanted = ahead if ahead is not None else supplies[0].ahead
        self._ahead = 0 if seeded else wanted if self._most is None else min(wanted, self._most)
        self._ready: deque[_Machine] = deque()
        self._places = asyncio.Semaphore(self._most) if self._most is not None else None
        self._out = 0
        self._opened_any = False
        self._turn = 0

    @property
    def most(self) -> int | None:
        """Machines at a time; None for as many as are asked for."""
        return self._most

    async def __aenter__(self) -> Self:
        self._fill()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        ready, self._ahead = list(self._ready), 0
        self._ready.clear()
        for machine in ready:
            with suppress(EnvironmentFault):  # nothing was done on it, and nobody waits for it
                await machine.close()

    @asynccontextmanager
    async def open(self, *, label: str, seed: int) -> AsyncGenerator[Lease, None]:
        """Hand out a machine, waiting while there are as many as can be carried.

        Raises:
            Unavailable: no provider can open machines here, and none ever could.
            Broken: none could just now.
            Halted: the warden has ended every machine, and lets none begin.
        """
        if self._places is not None:
            await self._places.acquire()
        self._out += 1
        machine: _Machine | None = None
        try:
            machine, lease = await self._obtain(label, seed)
            self._fill()
            yield lease
        finally:
            try:
                if machine is not None:
                    await machine.close()
            finally:
                self._out -= 1
                if self._places is not None:
                    self._places.release()
                self._fill()

    async def _obtain(self, label: str, seed: int) -> tuple[_Machine, Lease]:
        """Take a machine that is ready, or open one; a failure is tried again, with the next provider."""
        last: EnvironmentFault | None = None
        for attempt in range(max(_ATTEMPTS, len(self._providers))):
            machine = await self._take() or self._next(label, seed)
            try:
                lease = await asyncio.shield(machine.opened)
            except EnvironmentFault as fault:
                last = fault
                _diagnostics.info("machine did not open", label=label, attempt=attempt + 1, cause=str(fault))
                await machine.close()
                if isinstance(fault, Halted):
                    raise
                if isinstance(fault, Unavailable) and len(self._providers) == 1 and not self._opened_any:
                    raise
                continue
            except BaseException:
                with suppress(EnvironmentFault):
                    await machine.close()
                raise
            self._opened_any = True
            return machine, lease
        assert last is not None
        if isinstance(last, Unavailable) and not self._opened_any:
            raise last
        # Machines could be had before: it is this one trial that cannot be measured.
        raise Broken(f"no machine could be opened: {last}", by_agent=False) from last

    async def _take(self) -> _Machine | None:
        """Take a machine that is ready, or on its way; one that died waiting is no machine."""
        while self._ready:
            machine = self._ready.popleft()
            if machine.task is not None and not machine.task.done():
                return machine
            with suppress(EnvironmentFault):
                await machine.close()
        return None

    def _next(self, label: str, seed: int) -> _Machine:
        provider = self._providers[self._turn % len(self._providers)]
        self._turn += 1
        return _Machine(provider, label, seed).start()

    def _fill(self) -> None:
        """Begin to open what is to be ready, within what can be carried."""
        room = self._ahead if self._most is None else min(self._ahead, self._most - self._out)
        while len(self._ready) < room:
            self._ready.append(self._next(f"ahead-{self._turn}", 0))


def _carried(supplies: Sequence[Supply]) -> int | None:
    """Return how many machines at a time the providers and this host's memory allow."""
    bounds = [supply.most for supply in supplies]
    most = None if None in bounds else sum(bound for bound in bounds if bound is not None)
    occupied = max(supply.occupies_bytes for supply in supplies)
    if occupied:
        carried = max(1, int(_SHARE * _free_bytes()) // occupied)
        most = carried if most is None else min(most, carried)
    return most


def _free_bytes() -> int:
    line = next(
        line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemAvailable")
    )
    return int(line.split()[1]) << 10
