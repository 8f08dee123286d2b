"""Looks at a machine from inside through the agent's attendant, which was there before the agent came."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from environments.attendant.attendant import Replaced
from environments.containment.inside import Witnessed, program
from environments.errors import EnvironmentFault

if TYPE_CHECKING:
    from collections.abc import Mapping

    from environments.attendant.attendant import Attendant

__all__ = ["ThroughAttendant"]


class ThroughAttendant:
    """Asks the agent's attendant, beside the agent's commands and also with its hands off.

    Its answer is vouched for while it is the one that was started before the agent came: it runs redline's
    own text in a child of its own, and no file of the machine decides what that is.

    Args:
        attendant: the agent's.
        limit_s: how long the answer may take.
    """

    def __init__(self, attendant: Attendant, *, limit_s: float = 10.0) -> None:
        self._attendant = attendant
        self._limit_s = limit_s
        self._before = self._who()

    def _who(self) -> tuple[str, int]:
        return self._attendant.hello.boot_id, self._attendant.hello.pid

    async def look(self, about: Mapping[str, Any]) -> Witnessed | None:
        """Return what was seen; see `Inside`."""
        try:
            async with asyncio.timeout(self._limit_s):
                answer = await self._attendant.ask(
                    "look_around",
                    program().encode(),
                    takes_s=self._limit_s,
                    timeout_s=self._limit_s,
                    quiet=True,
                    about=dict(about),
                )
        except (EnvironmentFault, Replaced, OSError):
            return None
        seen = answer.fields.get("seen")
        if not isinstance(seen, dict):
            return None
        return Witnessed(fields=seen, vouched=self._who() == self._before)
