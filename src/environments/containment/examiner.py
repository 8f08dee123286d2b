"""Examines a machine while somebody acts on it, at moments nobody can foresee, and ends what it finds open.

A machine that was granted a certificate has to stay as it was: found otherwise, the acting is cancelled, and
what was measured counts for nothing.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from random import SystemRandom
from typing import TYPE_CHECKING, Any, TypeVar

from environments.endings import to_the_end
from environments.errors import Broken, ContainmentLost, ContainmentRefused

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from environments.types import Certificate, Lease, Phase, Probe

__all__ = ["Examiner", "require_closed"]

T = TypeVar("T")
_FIRST_S = (0.1, 2.0)
"""When the first sample is taken, from and to."""
_NEXT_S = (5.0, 25.0)
"""How long after each sample the next is taken."""
_STUBBORN_S = 30.0
_UNFORESEEN = SystemRandom()


def require_closed(lease: Lease, what: str) -> None:
    """Refuse a machine that is not shown to be closed, or would not be while it is used.

    Raises:
        ContainmentRefused: it has no granted certificate, or cannot be examined again.
    """
    if not lease.certificate.granted:
        reason = lease.certificate.refusal()
    elif lease.closure is None:
        reason = f"{lease.certificate.provider} cannot examine it again while it is used"
    else:
        return
    raise ContainmentRefused(f"{what} runs only on a machine that is shown to be closed: {reason}")


def _untold(_phase: Phase, _probes: tuple[Probe, ...], /) -> None:
    """Samples that nobody records."""


class Examiner:
    """Examines one lease's machine. Where no certificate was granted there is nothing to lose, and it rests.

    Args:
        lease: the machine.
        note: told of every examination.
    """

    def __init__(self, lease: Lease, *, note: Callable[[Phase, tuple[Probe, ...]], None] = _untold) -> None:
        self._closure = lease.closure if lease.certificate.granted else None
        self._opened = lease.certificate
        self._note = note
        self._first: tuple[Probe, ...] = ()
        self._last: tuple[Probe, ...] = ()
        self._wrong: list[Probe] = []
        self._after: tuple[Probe, ...] = ()
        self.samples = 0
        """Taken while somebody acted."""
        self.lost: ContainmentLost | None = None
        """What was found open."""

    @property
    def certificate(self) -> Certificate:
        """The certificate with what was found since: the first sample, the last, and all that was amiss."""
        found = dict.fromkeys((*self._opened.probes, *self._first, *self._wrong, *self._last, *self._after))
        return replace(self._opened, probes=tuple(found))

    async def watch(self, work: Coroutine[Any, Any, T]) -> T:
        """Do the work, and examine the machine meanwhile.

        Raises:
            ContainmentLost: the machine was found open; the work has been cancelled.
            Exception: what the work raises.
        """
        if self._closure is None:
            return await work
        acting, sampling = asyncio.ensure_future(work), asyncio.ensure_future(self._sample())
        try:
            await asyncio.wait({acting, sampling}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await to_the_end(_stopped(acting, sampling))
        if not sampling.cancelled():
            sampling.result()
        return acting.result()

    async def _sample(self) -> None:
        await asyncio.sleep(_UNFORESEEN.uniform(*_FIRST_S))
        while True:
            with suppress(Broken):  # whose doing that is, whoever acts on the machine finds out
                await self._examine("during")
            await asyncio.sleep(_UNFORESEEN.uniform(*_NEXT_S))

    async def settle(self) -> None:
        """Take a sample now if it was over before the first.

        Raises:
            ContainmentLost: the machine is found open.
        """
        if self._closure is not None and not self.samples:
            with suppress(Broken):
                await self._examine("during")

    async def conclude(self) -> None:
        """Examine the machine a last time, with the hands off it.

        Raises:
            ContainmentLost: the machine is found open.
            Broken: it cannot be examined any more.
        """
        if self._closure is not None:
            await self._examine("after")

    async def _examine(self, phase: Phase) -> None:
        assert self._closure is not None
        found = await self._closure.examine(phase)
        self._note(phase, found)
        if phase == "after":
            self._after = found
        else:
            self.samples += 1
            self._first, self._last = self._first or found, found
        if wrong := [probe for probe in found if not probe.ok]:
            self._wrong += wrong
            self.lost = ContainmentLost(
                "; ".join(f"{p.name}: declared {p.declared}, found {p.found} ({phase})" for p in wrong)
            )
            raise self.lost


async def _stopped(*tasks: asyncio.Task[Any]) -> None:
    """Cancel tasks until they have ended. One that will not is left behind: its machine goes."""
    for _ in range(int(_STUBBORN_S)):
        running = [task for task in tasks if not task.done()]
        if not running:
            break
        for task in running:
            task.cancel()
        await asyncio.wait(running, timeout=1.0)
    for task in tasks:
        if task.done() and not task.cancelled():
            task.exception()  # raised by whoever asks for the result; nobody else is to be bothered
