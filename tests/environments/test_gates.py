"""A gate names the process that calls, on every kind of machine that has one; no other port leads out."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from environments.lab import LabMachine
from environments.sandbox import Sandbox

if TYPE_CHECKING:
    from environments import Lease, Process, Provider

pytestmark = pytest.mark.anyio

PORT = 28450
CALL = """\
import os, socket, sys, time
door = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 20)
if len(sys.argv) > 2 and os.fork():
    os._exit(0)  # the younger one has the socket now
door.sendall(b"knock")
door.recv(10)
"""


async def caller_of(lease: Lease, *arguments: str) -> Process | None:
    gate = lease.gate
    assert gate is not None
    await lease.agent.write(lease.agent.home / "call.py", CALL.encode())
    async with asyncio.timeout(60), gate.open(PORT) as listener:
        calling = asyncio.create_task(lease.agent.exec(["python3", "call.py", str(PORT), *arguments]))
        loop = asyncio.get_running_loop()
        connection, _ = await loop.sock_accept(listener)
        with connection:
            connection.setblocking(False)
            assert await loop.sock_recv(connection, 10) == b"knock"
            found = await gate.caller(connection)
            await loop.sock_sendall(connection, b"enough")
        await calling
        return found


@pytest.mark.parametrize("provider", [Sandbox(), LabMachine(hosts=2)], ids=lambda each: str(each.name))
async def test_the_caller_is_named(provider: Provider) -> None:
    async with provider.open(label="gate", seed=0) as lease:
        caller = await caller_of(lease)
        assert caller is not None
        assert caller.argv[-2:] == ("call.py", str(PORT))
        heir = await caller_of(lease, "forking")
        assert heir is not None
        assert heir.argv[-1] == "forking"
        assert heir.pid != caller.pid


async def test_a_gate_of_one_host_is_not_another_hosts() -> None:
    async with LabMachine(hosts=2).open(label="gate", seed=0) as lease:
        other = lease.hosts["node2"]
        assert lease.gate is not None
        await other.agent.write(other.agent.home / "call.py", CALL.encode())
        async with lease.gate.open(PORT):
            refused = await other.agent.exec(["python3", "call.py", str(PORT)])
            around = await other.agent.exec(
                ["bash", "-c", f"exec 3<>/dev/tcp/node1/{PORT} && echo reached"], timeout_s=20
            )
        assert "refused" in refused.text.lower()
        assert "reached" not in around.text
