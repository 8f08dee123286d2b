"""A program inside a virtual machine calls redline over the one port that its sshd passes on."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from environments.vm import VirtualMachine

pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.timeout(400)]

PORT = 28401
CALL = f"exec 3<>/dev/tcp/127.0.0.1/{PORT} && echo $$ >&3 && exec head -n 1 <&3"


async def test_a_machine_has_a_gate_and_the_caller_is_known(machines: VirtualMachine) -> None:
    async with machines.open(label="gate", seed=0) as lease:
        assert lease.gate is not None
        async with lease.gate.open(PORT) as listener:
            loop = asyncio.get_running_loop()
            calling = asyncio.create_task(lease.agent.exec(["bash", "-c", CALL], timeout_s=60))
            async with asyncio.timeout(60):
                connection, _ = await loop.sock_accept(listener)
            with connection:
                connection.setblocking(False)
                pid = int(await loop.sock_recv(connection, 64))
                caller = await lease.gate.caller(connection)
                assert caller is not None
                assert caller.pid == pid
                await loop.sock_sendall(connection, b"heard\n")
                assert (await calling).text == "heard\n"
        after = await lease.agent.exec(["bash", "-c", CALL], timeout_s=60)
        assert "Connection refused" in after.text
        assert lease.certificate.granted, lease.certificate.refusal()
