"""Checks that need machines of their own: what freezing, closing, saving and breaking do."""

from __future__ import annotations

import asyncio
import secrets
from contextlib import AsyncExitStack
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from environments.errors import Broken, Closed, EnvironmentFault, LinkLost
from environments.pool import supply_of
from environments.testing.commands import sh
from environments.testing.control import listening, serve

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from environments.protocols import Environment, Provider
    from environments.types import Lease, Probe

__all__ = ["LIFECYCLE", "a_cut_link_is_told_from_a_failed_command", "checkpoints_hold"]

_PORT = 23118
_FENCES = {"memory", "processes", "cpu", "disk", "open files", "output", "wall time"}


async def _closed(env: Environment) -> None:
    try:
        await env.exec(["true"])
    except (Closed, Broken):
        return
    raise AssertionError("a command was run on a machine that was taken away")


async def freezing_takes_the_agents_hands_off(provider: Provider) -> None:
    """After freezing no command runs, running ones have ended, services live and can be judged."""
    async with provider.open(label="conformance", seed=0) as lease:
        await serve(lease, _PORT)
        await listening(lease, _PORT)
        running = asyncio.create_task(lease.agent.exec(["sleep", "4715"]))
        await asyncio.sleep(0.5)
        await lease.control.freeze()
        await asyncio.wait({running}, timeout=20)
        assert running.done(), "a command outlived the freeze"
        assert running.exception() is not None or not running.result().ok
        for _ in range(50):
            if not any("4715" in process.argv for process in await lease.control.processes()):
                break
            await asyncio.sleep(0.1)
        else:
            raise AssertionError("a command's process outlived the freeze")
        try:
            await lease.agent.exec(["true"])
        except Closed:
            pass
        else:
            raise AssertionError("the agent's handle still works")
        assert await lease.control.dial(_PORT, b"still", timeout_s=20) == b"heard still"


async def closing_leaves_nothing(provider: Provider) -> None:
    """The next machine knows nothing of the one before; no process of it is left on this host."""
    mark = str(10**8 + secrets.randbelow(10**9))
    async with provider.open(label="conformance", seed=0) as lease:
        first = lease.agent
        places = f"{lease.agent.home} /tmp /var/tmp /dev/shm"
        await sh(first, f"for place in {places}; do echo x >$place/{mark}; done")
        await sh(first, f"setsid sleep {mark} </dev/null >/dev/null 2>&1 &")
        await _seen(lease, mark)
    await _closed(first)
    assert not _on_this_host(mark), f"`sleep {mark}` outlived its machine"
    async with provider.open(label="conformance", seed=1) as lease:
        left = await sh(
            lease.agent, f"ls {' '.join(f'{place}/{mark}' for place in places.split())} 2>/dev/null"
        )
        assert left.stdout == b"", f"left behind: {left.text.split()}"
        assert not any(mark in process.argv for process in await lease.control.processes())


async def _seen(lease: Lease, mark: str) -> None:
    """Wait until a process has become what it was started as."""
    for _ in range(50):
        if any(mark in process.argv for process in await lease.control.processes()):
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"`sleep {mark}` is not among the machine's processes")


def _on_this_host(mark: str) -> bool:
    found = False
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                found = found or mark in (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
            except OSError:  # ended meanwhile
                continue
    return found


async def an_abandoned_opening_leaves_the_provider_usable(provider: Provider) -> None:
    """Cancelled at any moment of opening, the next machine opens as if nothing had been."""
    for delay in (0.0, 0.02, 0.1, 0.5):
        opening = asyncio.create_task(_open_and_wait(provider))
        await asyncio.sleep(delay)
        opening.cancel()
        await asyncio.wait({opening})
    async with provider.open(label="conformance", seed=0) as lease:
        assert (await sh(lease.agent, "echo well")).stdout == b"well\n"


async def _open_and_wait(provider: Provider) -> None:
    async with provider.open(label="conformance", seed=0):
        await asyncio.sleep(60)


async def machines_do_not_see_one_another(provider: Provider) -> None:
    """Two machines at once share neither files nor processes nor ports."""
    most = supply_of(provider).most
    if most is not None and most < 2:
        return
    async with AsyncExitStack() as stack:
        one, two = [
            await stack.enter_async_context(provider.open(label=f"conformance {n}", seed=n)) for n in range(2)
        ]
        await sh(one.agent, "echo one >/tmp/whose; sleep 4716 </dev/null >/dev/null 2>&1 &")
        await _seen(one, "4716")
        await serve(one, _PORT)
        await listening(one, _PORT)
        assert await two.control.look(PurePosixPath("/tmp/whose")) is None  # noqa: S108  in the machine
        assert not any("4716" in process.argv for process in await two.control.processes())
        assert await two.control.dial(_PORT, b"knock") is None


async def the_certificate_says_what_was_found(provider: Provider) -> None:
    """A machine is either shown to be closed, probe by probe, or says in a line why not."""
    async with provider.open(label="conformance", seed=0) as lease:
        certificate = lease.certificate
        assert certificate.provider == provider.name
        assert certificate.grade == lease.control.grade
        assert certificate.granted or certificate.refusal()
        if certificate.granted:
            assert certificate.probes
            assert dict(certificate.fences).keys() >= _FENCES
            assert certificate.declared, "nothing is said in words"


async def a_closed_machine_can_be_examined_again(provider: Provider) -> None:
    """Examined while used and with the hands off, it is found as before; that is no use of the hands."""
    async with provider.open(label="conformance", seed=0) as lease:
        if not lease.certificate.granted:
            return
        assert lease.closure is not None, "a machine that is declared closed cannot be examined again"
        _as_declared(await lease.closure.examine("during"), "during")
        await serve(lease, _PORT)  # launched, which takes hands that were not used
        running = asyncio.create_task(lease.agent.exec(["sleep", "4719"]))
        await _seen(lease, "4719")
        _as_declared(await lease.closure.examine("during"), "during")
        await lease.control.freeze()
        await running
        _as_declared(await lease.closure.examine("after"), "after")


def _as_declared(probes: tuple[Probe, ...], phase: str) -> None:
    assert {probe.phase for probe in probes} == {phase}
    assert {probe.seen_from for probe in probes} == {"inside", "outside"}
    assert [probe for probe in probes if not probe.ok] == []


async def checkpoints_hold(provider: Provider) -> None:
    """A saved machine comes back with its files and processes; a fork of it goes its own way."""
    async with provider.open(label="conformance", seed=0) as lease:
        if lease.checkpoints is None:
            return
        await serve(lease, _PORT)
        await listening(lease, _PORT)
        await sh(lease.agent, "echo before >state")
        await lease.checkpoints.save("point")
        await sh(lease.agent, "echo after >state; pkill -f server.py")
        assert await lease.control.dial(_PORT, b"gone") is None
        async with lease.checkpoints.fork("point", label="conformance fork") as fork:
            await _as_saved(fork)
            await sh(fork.agent, "echo fork >state")
        assert (await sh(lease.agent, "cat state")).stdout == b"after\n", "a fork wrote into its origin"
        await lease.checkpoints.restore("point")
        await _as_saved(lease)
        try:
            await lease.checkpoints.restore("no such point")
        except KeyError:
            return
        raise AssertionError("a point that was never saved was restored")


async def _as_saved(lease: Lease) -> None:
    assert (await sh(lease.agent, "cat state")).stdout == b"before\n"
    assert await lease.control.dial(_PORT, b"back", timeout_s=20) == b"heard back"


async def a_cut_link_is_told_from_a_failed_command(
    provider: Provider, cut: Callable[[Lease], Awaitable[None]]
) -> None:
    """A command whose link is cut ends with its own result or with LinkLost, never with a made-up status."""
    async with provider.open(label="conformance", seed=0) as lease:
        running = asyncio.create_task(sh(lease.agent, "sleep 2; echo through"))
        await asyncio.sleep(0.5)
        await cut(lease)
        try:
            result = await running
        except LinkLost:
            return
        except EnvironmentFault as fault:
            raise AssertionError(f"a cut link was reported as {fault!r}") from fault
        assert (result.status, result.stdout) == (0, b"through\n")


LIFECYCLE = (
    freezing_takes_the_agents_hands_off,
    closing_leaves_nothing,
    an_abandoned_opening_leaves_the_provider_usable,
    machines_do_not_see_one_another,
    the_certificate_says_what_was_found,
    a_closed_machine_can_be_examined_again,
    checkpoints_hold,
)
