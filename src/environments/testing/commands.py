"""Checks of what the agent's handle does with commands. All run on one machine, one after the other."""

from __future__ import annotations

import asyncio
import hashlib
import os
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from environments.protocols import Environment
    from environments.types import ExecResult, Lease

__all__ = ["COMMANDS", "sh"]

_MANY = 24


async def sh(env: Environment, text: str, *, stdin: bytes = b"", timeout_s: float = 60.0) -> ExecResult:
    """Run a line of shell."""
    return await env.exec(["bash", "-c", text], stdin=stdin, timeout_s=timeout_s)


async def _alive(lease: Lease, mark: str) -> int:
    return sum(mark in process.argv for process in await lease.control.processes())


async def _until_gone(lease: Lease, mark: str) -> None:
    for _ in range(50):
        if not await _alive(lease, mark):
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"`sleep {mark}` is still running")


async def a_failed_command_is_a_value(lease: Lease) -> None:
    """Exit statuses come back as they are, signals as 128 + signal, missing programs as 127."""
    assert (await lease.agent.exec(["true"])).ok
    assert (await sh(lease.agent, "exit 37")).status == 37
    assert (await sh(lease.agent, "kill -TERM $$")).status == 143
    missing = await lease.agent.exec(["no-such-program-here"])
    assert missing.status == 127, missing
    assert b"no-such-program-here" in missing.stderr


async def the_two_outputs_are_kept_apart(lease: Lease) -> None:
    """Standard output and standard error are told apart, and arrive whole."""
    result = await sh(lease.agent, "echo out; echo err >&2; printf last")
    assert (result.stdout, result.stderr) == (b"out\nlast", b"err\n")


async def bytes_stay_as_they_are(lease: Lease) -> None:
    """Binary input and output are not changed, and arguments are not read by a shell."""
    data = bytes(range(256)) * 64
    assert (await lease.agent.exec(["cat"], stdin=data)).stdout == data
    digest = (await lease.agent.exec(["sha256sum"], stdin=data * 64)).stdout
    assert digest.startswith(hashlib.sha256(data * 64).hexdigest().encode())
    awkward = "a b\n$HOME `id` \"'\\ * ; é \t!"
    assert (await lease.agent.exec(["printf", "%s", awkward])).stdout.decode() == awkward


async def a_command_without_input_does_not_wait_for_any(lease: Lease) -> None:
    """Standard input is empty unless it is given."""
    assert (await lease.agent.exec(["cat"], timeout_s=20)).stdout == b""


async def commands_start_at_home(lease: Lease) -> None:
    """The working directory is the home unless another is asked for; a missing one fails the command."""
    assert (await sh(lease.agent, "pwd")).text.strip() == str(lease.agent.home)
    assert (await sh(lease.agent, 'echo "$HOME"')).text.strip() == str(lease.agent.home)
    elsewhere = await lease.agent.exec(["pwd"], cwd=PurePosixPath("/usr"))
    assert elsewhere.text.strip() == "/usr"
    assert not (await lease.agent.exec(["true"], cwd=PurePosixPath("/no/such/place"))).ok


async def commands_run_as_an_ordinary_user(lease: Lease) -> None:
    """The agent is not root, and has nothing of the runner's environment."""
    assert (await sh(lease.agent, "id -u")).text.strip() != "0"
    os.environ["REDLINE_CONFORMANCE"] = "sesame"
    try:
        assert "sesame" not in (await sh(lease.agent, "env")).text
    finally:
        del os.environ["REDLINE_CONFORMANCE"]


async def output_is_capped(lease: Lease) -> None:
    """Of a flood, head and tail are kept, and what was dropped is counted."""
    result = await sh(lease.agent, "echo first; head -c 20000000 /dev/zero; echo last")
    assert result.ok
    assert len(result.stdout) < 2 << 20
    assert result.stdout.startswith(b"first\n"), result.stdout[:20]
    assert result.stdout.endswith(b"last\n"), result.stdout[-20:]
    assert result.dropped + len(result.stdout) == 20000000 + len(b"first\nlast\n")


async def time_limits_hold(lease: Lease) -> None:
    """At its limit a command is ended with its process group; what it printed is kept."""
    result = await sh(lease.agent, "echo early; sleep 4711 & sleep 4711", timeout_s=1.0)
    assert result.timed_out
    assert not result.ok
    assert result.stdout == b"early\n"
    assert result.seconds < 15
    await _until_gone(lease, "4711")


async def a_cancelled_command_leaves_no_survivor(lease: Lease) -> None:
    """Cancelling the wait ends the command too, and the machine stays usable."""
    running = asyncio.create_task(sh(lease.agent, "sleep 4712 & sleep 4712"))
    for _ in range(100):
        await asyncio.sleep(0.1)
        if await _alive(lease, "4712"):
            break
    running.cancel()
    await asyncio.wait({running})
    await _until_gone(lease, "4712")
    assert (await sh(lease.agent, "echo well")).stdout == b"well\n"


async def commands_run_side_by_side(lease: Lease) -> None:
    """Many at once neither mix their outputs nor wait for one another."""
    lines = [f"sleep 0.5; echo {number}; echo {number} >&2" for number in range(_MANY)]
    results = await asyncio.gather(*(sh(lease.agent, line) for line in lines))
    assert [r.stdout for r in results] == [b"%d\n" % number for number in range(_MANY)]
    assert [r.stderr for r in results] == [b"%d\n" % number for number in range(_MANY)]


async def services_live_on(lease: Lease) -> None:
    """What a command leaves in the background outlives it, also when it prints to that command's output."""
    service = "while true; do echo tick; sleep 0.1; done"
    began = await sh(
        lease.agent, f"bash -c '{service} #4713' & echo $! >service.pid; echo left", timeout_s=20
    )
    assert began.stdout.startswith(b"left\n") or b"left\n" in began.stdout
    await asyncio.sleep(1)
    assert (await sh(lease.agent, "kill -0 $(cat service.pid) && echo alive")).stdout == b"alive\n"
    assert b"tick" not in (await sh(lease.agent, "echo quiet")).stdout
    await sh(lease.agent, "kill $(cat service.pid); rm service.pid")


async def an_impossible_argument_is_refused(lease: Lease) -> None:
    """A NUL byte, which no process can be given, is a ValueError."""
    try:
        await lease.agent.exec(["echo", "a\0b"])
    except ValueError:
        return
    raise AssertionError("an argument with a NUL byte was accepted")


COMMANDS = (
    a_failed_command_is_a_value,
    the_two_outputs_are_kept_apart,
    bytes_stay_as_they_are,
    a_command_without_input_does_not_wait_for_any,
    commands_start_at_home,
    commands_run_as_an_ordinary_user,
    output_is_capped,
    time_limits_hold,
    a_cancelled_command_leaves_no_survivor,
    commands_run_side_by_side,
    services_live_on,
    an_impossible_argument_is_refused,
)
