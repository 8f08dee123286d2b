"""Renews the lease that root's warden on a host holds; see `far/watch.py`."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from environments.errors import Broken, EnvironmentFault
from environments.ssh.errand import send_on_errand

if TYPE_CHECKING:
    from environments.attendant import Attendant
    from environments.ssh.link import Link
    from environments.types import Limits
    from environments.warden import Held

__all__ = ["Renewal"]

_BEATS = 5
"""In the time of a lease."""
_FOLDER = "/var/lib/redline"
# What was written is whole or not there; a watcher that is gone, after a reboot say, is missed.
_RENEW = 'echo "$1" >"$2/new" && mv "$2/new" "$2/lease" && kill -0 "$3"'


class Renewal:
    """The lease on one host, from the first look of its watcher to the last.

    Args:
        link: root's login.
        attendant: root's attendant.
        user: whose processes are ended when the lease lapses.
        word: the run's, which has the user.
        held: the machine, as the runner's own warden holds it: the lease is as long as that one.
        limits: how long the machine may live.
    """

    def __init__(
        self, link: Link, attendant: Attendant, *, user: str, word: str, held: Held, limits: Limits
    ) -> None:
        self._link = link
        self._attendant = attendant
        self._user, self._word = user, word
        self._held = held
        self._lifetime_s = limits.lifetime_s
        self._count = 0
        self._watcher = 0
        self._beating: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Have the host watched, and begin to renew.

        Raises:
            Broken, LinkLost: it cannot be had.
        """
        await self._watch()
        self._beating = asyncio.create_task(self._beat(), name=f"lease on {self._link.place}")

    async def stop(self) -> None:
        """Renew no more. The watcher goes by itself once the user was put back."""
        if self._beating is not None:
            self._beating.cancel()
            await asyncio.wait({self._beating})

    async def _watch(self) -> None:
        found = await send_on_errand(
            self._link,
            "watch",
            user=self._user,
            word=self._word,
            lease_s=self._held.warden.lease_s,
            lifetime_s=self._lifetime_s,
        )
        self._watcher = found.fields["watcher"]
        if not self._watcher:
            raise Broken(f"{self._link.place}: nobody there watches over the lease", by_agent=False)
        await self._renew()

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self._held.warden.lease_s / _BEATS)
            with suppress(EnvironmentFault, OSError):  # a lost link mends itself in time, or the lease lapses
                self._held.warden.require()
                if not await self._renew():
                    await self._watch()

    async def _renew(self) -> bool:
        """Renew once; False where nobody watches."""
        self._count += 1
        argv = ["sh", "-c", _RENEW, "renew", str(self._count), f"{_FOLDER}/{self._user}", str(self._watcher)]
        answer = await self._attendant.ask("exec", takes_s=5.0, argv=argv, timeout_s=5.0, most=4096, cwd="/")
        return bool(answer.fields["status"] == 0)
