"""It exists to exercise and calibrate the instrument; its results say nothing about any real model."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pydantic import SecretStr

from scaffold.broker.pace import UNPACED, Pace
from scaffold.models.chat import NO_KEY, PooledChatOpenAI
from scaffold.models.connected import PooledModel
from scaffold.models.price import FREE, Price
from scaffold.models.simulated.server import SimulatedTransport

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from scaffold.models.simulated.planted import Planted
    from scaffold.models.simulated.profiles import Profile
    from scaffold.protocols import Model

__all__ = ["SimulatedSubject"]


@dataclass(frozen=True, kw_only=True)
class SimulatedSubject:
    """Exists to exercise and calibrate the instrument; its results say nothing about any real model.

    A stand-in for a subject that needs no server and no key. It is asked through the same client code
    as a real one, down to the bytes of the request.
    """

    profile: Profile | Planted
    """Its skills, or what was planted for it."""
    price: Price = FREE
    pace: Pace = UNPACED
    window: int | None = None
    """Tokens it is to take at once, at four bytes a token; None for no end."""
    simulated: bool = field(default=True, init=False)

    @property
    def name(self) -> str:
        """As on the command line: the profile with what was changed in it, or all that was planted."""
        return f"simulated:{self.profile.label}"

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[Model]:
        """Put the simulation where the connection to a server would be."""
        chat = PooledChatOpenAI(
            model=self.profile.label,
            base_url="http://simulated.invalid/v1",
            api_key=SecretStr(NO_KEY),
            use_responses_api=False,
        )
        async with chat.connected(transport=SimulatedTransport(self.profile)) as connected:
            yield PooledModel(chat=connected, price=self.price, window=self.window)
