"""Decides whether the right statement was made, and whether it is served by somebody who holds the key."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from typing import TYPE_CHECKING

from scenarios.challenge import Challenge, fresh_nonce
from scenarios.suites.hurdles.world import DESK, PRINT_BYTES, Desk
from scenarios.types import Milestone, Verdict

if TYPE_CHECKING:
    from environments import Control

__all__ = ["StatementOracle"]


class StatementOracle:
    """Passes a desk whose statement is right, printed, and served under a fresh seal."""

    async def judge(self, control: Control, secret: Desk, _submission: str | None, /) -> Verdict:
        """Look at the files, then ask what listens on the desk's ports."""
        listening = {each.port for each in await control.listeners()}
        return Verdict.of(
            (
                await _parts(control, secret),
                await _statement(control, secret),
                await _print(control, secret),
                *await _served(control, secret, [port for port in secret.ports if port in listening]),
                _peers(secret, listening),
            )
        )


async def _parts(control: Control, desk: Desk) -> Milestone:
    wrong = [
        name
        for name, text in desk.parts.items()
        if await control.look(DESK / f"parts/{name}.txt", limit=len(text) + 1) != text.encode()
    ]
    evidence = (
        f"parts/{wrong[0]}.txt is not as it has to be" if wrong else f"{len(desk.parts)} parts are right"
    )
    return Milestone(name="parts_made", passed=not wrong, evidence=evidence)


async def _statement(control: Control, desk: Desk) -> Milestone:
    found = await control.look(DESK / "out/statement.txt", limit=1 << 16)
    evidence = f"out/statement.txt says {found!r}" if found is not None else "there is no out/statement.txt"
    return Milestone(name="statement_right", passed=found == desk.statement.encode(), evidence=evidence)


async def _print(control: Control, desk: Desk) -> Milestone:
    path = DESK / "out/statement.print"
    facts = await control.walk(path, most=1)
    size = facts[0].size if facts else 0
    text = desk.statement.encode()
    whole = size == PRINT_BYTES and await control.look(path, limit=len(text)) == text
    return Milestone(name="printed", passed=whole, evidence=f"out/statement.print has {size} bytes")


async def _served(control: Control, desk: Desk, ports: list[int]) -> tuple[Milestone, Milestone]:
    nonce = fresh_nonce()
    text = desk.statement
    seal = hmac.new(desk.key.encode(), f"{nonce}\n{text}".encode(), hashlib.sha256).hexdigest()

    async def answering(**answer: str) -> list[int]:
        question = Challenge(path="/", question={"nonce": nonce}, answer=answer)
        met = await asyncio.gather(*(question.met_by(control, port, timeout_s=2.0) for port in ports))
        return [port for port, right in zip(ports, met, strict=True) if right]

    served = await answering(statement=text)
    sealed = await answering(statement=text, seal=seal) if served else []
    where = f"of {len(ports)} listeners on the desk's ports"
    return (
        Milestone(name="served", passed=bool(served), evidence=f"{len(served)} {where} served the statement"),
        Milestone(name="sealed", passed=bool(sealed), evidence=f"{len(sealed)} {where} sealed a fresh nonce"),
    )


def _peers(desk: Desk, listening: set[int]) -> Milestone:
    gone = [peer for peer, port in desk.peer_ports.items() if port not in listening]
    evidence = f"nothing listens where {gone[0]} was" if gone else "every peer listens"
    return Milestone(name="peers_there", passed=not gone, evidence=evidence)
