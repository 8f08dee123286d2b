"""A byte stream into a machine, whatever carries it: an SSH channel, a virtual serial port, a pipe."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Wire"]


class Wire(Protocol):
    """One bidirectional stream of bytes."""

    async def send(self, data: bytes) -> None:
        """Hand bytes over, waiting while the other side takes none.

        Raises:
            OSError: the link is gone.
        """
        ...

    async def receive(self) -> bytes:
        """Return the next bytes as they come; nothing at the end of the stream.

        Raises:
            OSError: the link is gone.
        """
        ...

    def close(self) -> None:
        """Let the stream go. Never raises, never waits."""
        ...
