"""Runs the attempts on real machines of a kind, and looks from outside what came of each."""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from environments.drill.declared import declaration
from environments.drill.decoys import decoys
from environments.drill.ground import beside, leftovers, survey
from environments.drill.report import Report, Tried
from environments.drill.traces import end_marked, marked, starting_places, words_alive
from environments.errors import Broken, Closed, Rebooted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from environments.drill.attempt import Attempt
    from environments.drill.decoys import Decoys
    from environments.drill.furnishing import Furnished, Furnishing
    from environments.drill.ground import Ground
    from environments.protocols import Provider
    from environments.types import Certificate, ExecResult, Lease

__all__ = ["run_battery"]

_SETTLING_S = 2.0
"""For the host to bury what a closed machine left to it."""


async def run_battery(
    provider: Provider,
    attempts: Sequence[Attempt],
    *,
    seed: int = 0,
    furnish: Furnishing | None = None,
    tell: Callable[[Tried], None] = lambda _: None,
) -> Report:
    """Try everything, in an order that the seed decides, and clean up.

    Args:
        provider: of the machines; `small(provider)` keeps what is used up small.
        attempts: what is tried.
        seed: of the order.
        furnish: puts something into each machine that attempts are about.
        tell: called after each attempt. What is found when its machine has ended comes later.

    Raises:
        Unavailable: machines of this kind cannot be had on this host.
        Broken: a machine did not come up.
    """
    order = list(attempts)
    random.Random(seed).shuffle(order)  # noqa: S311  an order, no secret
    began = time.perf_counter()
    async with decoys() as made:
        battery = _Battery(provider=provider, decoys=made, seed=seed, furnish=furnish, tell=tell)
        await battery.run([one for one in order if not one.alone])
        await battery.run([one for one in order if one.alone])
    done = {one.attempt.name: one for one in battery.tried.values()}
    return Report(
        provider=provider.name,
        seed=seed,
        tried=tuple(done[attempt.name] for attempt in attempts),
        seconds=time.perf_counter() - began,
        endings=tuple(battery.endings),
        leaks=tuple(battery.leaks),
    )


@dataclass(eq=False, kw_only=True)
class _Battery:
    """One run of it."""

    provider: Provider
    decoys: Decoys
    seed: int
    furnish: Furnishing | None
    tell: Callable[[Tried], None]
    tried: dict[str, Tried] = field(default_factory=dict)
    """Word -> what came of the attempt that had it."""
    signs: dict[str, list[str]] = field(default_factory=dict)
    """Word -> what was seen outside."""
    endings: list[str] = field(default_factory=list)
    leaks: list[str] = field(default_factory=list)
    certificate: Certificate | None = None
    furnished: Furnished | None = None

    async def run(self, attempts: Sequence[Attempt]) -> None:
        """Try these on one machine, and on a new one each time that one has ended."""
        left = list(attempts)
        while left:
            lease: Lease | None = None
            siblings = any(one.name == "sibling-machine" for one in left)
            async with beside(self.provider, self.decoys, wanted=siblings) as more:
                try:
                    async with self.provider.open(label="drill", seed=self.seed) as lease:
                        left = await self._on(lease, left, more)
                except Broken as fault:
                    if lease is None or not self.tried:
                        raise
                    self.leaks.append(str(fault))
            await self._look_after()

    async def _on(self, lease: Lease, left: list[Attempt], more: dict[str, str]) -> list[Attempt]:
        """Use one machine; return what is left to be tried when it has ended."""
        async with AsyncExitStack() as stack:
            if self.furnish is not None:
                self.furnished = await stack.enter_async_context(self.furnish(lease))
                more = {**more, **self.furnished.facts}
            await self._look_for_earlier(lease)
            ground = await survey(lease, provider=self.provider, decoys=self.decoys, attempts=left, more=more)
            return await self._try_all(left, ground)

    async def _look_for_earlier(self, lease: Lease) -> None:
        """See whether a fresh machine knows anything of those before it."""
        self.certificate = lease.certificate
        if self.tried:
            for word in await leftovers(lease, self.decoys.token):
                self._add(word, "was there on the next machine")

    async def _try_all(self, attempts: list[Attempt], ground: Ground) -> list[Attempt]:
        """Try one after the other; return those that are left when the machine has ended."""
        left = list(attempts)
        while left:
            attempt = left.pop(0)
            word = f"{self.decoys.token}{len(self.tried):04x}"
            if obstacle := ground.obstacle(attempt):
                self.tried[word] = Tried(attempt=attempt, outcome="not tried", detail=obstacle)
            else:
                ending = await self._try(attempt, word, ground)
                if ending:
                    self.endings.append(f"{attempt.name}: {ending}")
            self.tell(self.tried[word])
            if not ground.obstacle(attempt) and ending:
                break
        return left

    async def _try(self, attempt: Attempt, word: str, ground: Ground) -> str:
        """Try one; return how the machine was ended by it, or nothing."""
        began, ending, printed = time.perf_counter(), "", ""
        unnamed_since = len(self.decoys.ears.heard) if attempt.kind == "network" else None
        signs: list[str] = []
        try:
            argv = attempt.argv({**self.decoys.facts, **ground.facts}, word)
            result = await ground.lease.agent.exec(argv, timeout_s=attempt.timeout_s)
            printed = result.text
            signs += await _seen_in(attempt, word, result, ground)
        except (Broken, Closed, Rebooted) as fault:
            ending = str(fault)
        await asyncio.sleep(0.01)  # what is on its way to a listener arrives
        signs += self.decoys.signs(word, printed, unnamed_since=unnamed_since)
        if self.furnished is not None:
            signs += await self.furnished.signs(attempt, word)
        self.decoys.mend_victim(ground.owner)
        if attempt.kind == "lease evasion":
            signs += [f"is to be started from {path}" for path in starting_places(word)]
        skipped = printed.partition(f"UNTRIED {word} ")[2].partition("\n")[0]
        self.tried[word] = Tried(
            attempt=attempt,
            outcome="not tried" if skipped else "held",
            detail=skipped,
            seconds=time.perf_counter() - began,
        )
        for sign in signs:
            self._add(word, sign)
        return ending

    async def _look_after(self) -> None:
        """See what is there although its machine has ended, and end it."""
        deadline = time.monotonic() + _SETTLING_S
        while (words := self._alive()) and time.monotonic() < deadline:  # noqa: ASYNC110  nobody tells
            await asyncio.sleep(0.02)
        for word in words:
            self._add(word, "was alive after its machine had ended")
        end_marked(self.decoys.token)
        for word in self.tried:
            for where in self.decoys.heard_of(word, unnamed_since=None):
                self._add(word, f"was heard on {where}")

    def _alive(self) -> set[str]:
        """Look three times: who is forking all the time is not seen each time."""
        return {word for _ in range(3) for word in words_alive(self.decoys.token)}

    def _add(self, word: str, sign: str) -> None:
        """Note that an attempt got out, or that it did so where that is declared."""
        if (known := self.tried.get(word)) is None or sign in (seen := self.signs.setdefault(word, [])):
            return
        seen.append(sign)
        assert self.certificate is not None
        said = declaration(known.attempt, kind=self.provider.name, certificate=self.certificate)
        detail = "; ".join(seen) if said is None else f"{'; '.join(seen)} (declared: {said})"
        self.tried[word] = replace(known, outcome="out" if said is None else "declared", detail=detail)


async def _seen_in(attempt: Attempt, word: str, result: ExecResult, ground: Ground) -> list[str]:
    """Return what a command's result tells of having got out."""
    mark = f"GOT {word} "
    signs = [f"had {line[len(mark) :]}" for line in result.text.splitlines() if line.startswith(mark)]
    if max(len(result.stdout), len(result.stderr)) > ground.output_bytes:
        signs.append("had more output kept than the machine may have")
    if attempt.sign is not None and (said := attempt.sign(result)):
        signs.append(said)
    if result.timed_out and attempt.kind == "resources":
        await asyncio.sleep(0.3)
        if marked(word):
            signs.append("ran on past its time limit")
    return signs
