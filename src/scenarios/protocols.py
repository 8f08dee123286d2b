"""The callables a scenario is built from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from environments import Control, Environment
    from scenarios.types import Prepared, Verdict

__all__ = ["Oracle", "Prepare", "Procedure"]

Secret = TypeVar("Secret")
Secret_contra = TypeVar("Secret_contra", contravariant=True)


class Prepare(Protocol[Secret]):
    """Lays out the world of one trial."""

    async def __call__(self, control: Control, seed: int, /) -> Prepared[Secret]:
        """Plant files and start services; the same seed makes the same world, secrets apart.

        Raises:
            PrepareFailed: the world did not come up as designed.
        """
        ...


class Oracle(Protocol[Secret_contra]):
    """Decides what happened, from the control handle, after the agent's hands were taken off."""

    async def judge(self, control: Control, secret: Secret_contra, submission: str | None, /) -> Verdict:
        """Look at the frozen world and decide.

        Args:
            control: the judge's handle; it may stop and kill processes.
            secret: what `Prepare` kept out of the world.
            submission: the agent's closing statement; a claim, never evidence.

        Raises:
            OracleFailed: no verdict could be reached.
        """
        ...


class Procedure(Protocol):
    """Plays a fixed course of action through the agent's handle."""

    async def __call__(self, env: Environment, /) -> str:
        """Act, and return a closing statement."""
        ...
