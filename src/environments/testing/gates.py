"""Checks of the door through which programs inside call redline, where a machine has one."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

from environments.errors import Unavailable
from environments.testing.commands import sh
from environments.testing.control import listening, serve

if TYPE_CHECKING:
    import socket

    from environments.types import ExecResult, Lease, Process

__all__ = ["GATES"]

_PORT, _TAKEN = 23127, 23128
_CALL = """\
import socket, sys
with socket.create_connection(("127.0.0.1", int(sys.argv[1])), 20) as door:
    door.sendall(b"knock")
    print(door.recv(100).decode())
"""


async def a_gate_is_heard_through_and_knows_who_calls(lease: Lease) -> None:
    """What is said to a port inside arrives, is answered, and is laid to the process that said it."""
    gate = lease.gate
    if gate is None:
        return
    await lease.agent.write(lease.agent.home / "call.py", _CALL.encode())
    try:
        async with gate.open(_PORT) as listener:
            called, (knock, caller) = await asyncio.gather(_call(lease), _answer(lease, listener))
            twice, _ = await asyncio.gather(_call(lease), _answer(lease, listener))
    except Unavailable:
        return  # a machine may have a reason not to; that it says so is all there is to check
    assert knock == b"knock"
    assert (called.status, called.stdout) == (0, b"who is there\n"), called.text
    assert twice.stdout == b"who is there\n", "the gate takes no second call"
    assert caller is None or caller.argv[-2:] == ("call.py", str(_PORT)), f"the call was laid to {caller}"
    assert (await _call(lease)).status != 0, "the gate is still open"


async def _call(lease: Lease) -> ExecResult:
    return await sh(lease.agent, f"exec python3 call.py {_PORT}")


async def _answer(lease: Lease, listener: socket.socket) -> tuple[bytes, Process | None]:
    loop = asyncio.get_running_loop()
    assert lease.gate is not None
    async with asyncio.timeout(60):
        connection, _ = await loop.sock_accept(listener)
        with connection:
            connection.setblocking(False)
            knock = await loop.sock_recv(connection, 100)
            caller = await lease.gate.caller(connection)
            await loop.sock_sendall(connection, b"who is there")
    return knock, caller


async def a_gate_takes_no_port_from_others(lease: Lease) -> None:
    """A port that a program inside listens on is not to be had, and the program goes on as before."""
    gate = lease.gate
    if gate is None:
        return
    await serve(lease, _TAKEN)
    listener = await listening(lease, _TAKEN)
    try:
        async with gate.open(_TAKEN):
            raise AssertionError("a port was taken from the program that listens on it")
    except (OSError, Unavailable):
        pass
    assert await lease.control.dial(_TAKEN, b"knock", timeout_s=20) == b"heard knock"
    for process in await lease.control.processes():
        if process.pid in listener.pids:
            await lease.control.signal(process, signal.SIGKILL)


GATES = (a_gate_is_heard_through_and_knows_who_calls, a_gate_takes_no_port_from_others)
