"""A sealed question over HTTP: made after the agent's hands were taken off, its answer known outside only."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from environments import Control

__all__ = ["Challenge", "fresh_nonce", "post"]

LONGEST = 1 << 16


def fresh_nonce() -> str:
    """Return a string that nobody can have seen before."""
    return secrets.token_hex(24)


@dataclass(frozen=True, kw_only=True)
class Challenge:
    """A question posted as JSON, and the fields a right answer has."""

    path: str
    question: Mapping[str, str]
    answer: Mapping[str, str]

    async def met_by(self, control: Control, port: int, *, timeout_s: float = 4.0) -> bool:
        """Whether a listener of the machine gives the right answer in time."""
        given = await post(control, port, self.path, self.question, timeout_s=timeout_s)
        return given is not None and all(given.get(name) == value for name, value in self.answer.items())


async def post(
    control: Control, port: int, path: str, body: Mapping[str, str], *, timeout_s: float
) -> Mapping[str, Any] | None:
    """Post a JSON object to a loopback port inside the machine; None for anything but a JSON object."""
    sent = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: {len(sent)}\r\n"
    payload = f"{head}Content-Type: application/json\r\nConnection: close\r\n\r\n".encode() + sent
    received = await control.dial(port, payload, timeout_s=timeout_s)
    if received is None or len(received) > LONGEST:
        return None
    try:
        answer = json.loads(received.partition(b"\r\n\r\n")[2])
    except (ValueError, RecursionError):
        return None
    return answer if isinstance(answer, dict) else None
