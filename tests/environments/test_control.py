"""What the judge's handle does: it sees the machine from outside and cannot be led astray from inside."""

from __future__ import annotations

import asyncio
from pathlib import PurePosixPath
from signal import SIGKILL, SIGSTOP
from typing import TYPE_CHECKING

import pytest

from environments import Closed, Control

if TYPE_CHECKING:
    from environments import Lease

pytestmark = pytest.mark.anyio

HOME = PurePosixPath("/home/agent")
SERVER = """
import socket
with socket.create_server(("127.0.0.1", 8123)) as server:
    while True:
        with server.accept()[0] as connection:
            connection.sendall(connection.recv(100).upper())
"""


async def sh(lease: Lease, text: str) -> str:
    return (await lease.agent.exec(["bash", "-c", text])).text


async def test_the_handle_fulfils_the_protocol(lease: Lease) -> None:
    assert isinstance(lease.control, Control)
    assert lease.control.grade == "host"


async def test_planted_files_belong_to_the_machines_user(lease: Lease) -> None:
    await lease.control.plant(HOME / "a/b/file", b"text", mode=0o640)
    assert await sh(lease, "cat a/b/file; stat -c ' %U %a' a/b/file; touch a/b/other && echo ok") == (
        "text agent 640\nok\n"
    )


async def test_a_link_cannot_lead_the_judge_out(lease: Lease) -> None:
    await sh(lease, "ln -s /etc/hostname direct; ln -s ../../../../../../etc dots; ln -s /proc/1/root deep")
    assert await lease.control.look(HOME / "direct") is None
    assert await lease.control.look(HOME / "dots/hostname") == b"machine\n"
    with pytest.raises(OSError, match=r"symbolic links|not permitted|Too many"):
        await lease.control.walk(HOME / "deep/etc/hostname")


async def test_looking_takes_no_part_in_tricks(lease: Lease) -> None:
    await sh(lease, "mkfifo pipe; mkdir dir; echo closed >closed; chmod 000 closed; ln -s /dev/zero zero")
    async with asyncio.timeout(2):
        for name in ("pipe", "dir", "none", "zero", "dir/none", "closed/x"):
            assert await lease.control.look(HOME / name) is None
    assert await lease.control.look(HOME / "closed") == b"closed\n"
    assert await sh(lease, "stat -c %a closed") == "0\n"


async def test_walking_describes_links_and_identity(lease: Lease) -> None:
    await sh(lease, "mkdir t; echo a >t/a; ln t/a t/hard; ln -s a t/soft; cp t/a t/copy")
    facts = {fact.path.name: fact for fact in await lease.control.walk(HOME / "t")}
    assert facts["a"].id == facts["hard"].id != facts["copy"].id
    assert facts["a"].links == 2
    assert (facts["soft"].kind, facts["soft"].target) == ("link", "a")
    assert await lease.control.walk(HOME / "none") == []


async def test_moving_and_permissions(lease: Lease) -> None:
    await lease.control.plant(HOME / "a", b"1")
    await lease.control.move(HOME / "a", PurePosixPath("/srv/deep/b"))
    await lease.control.chmod(PurePosixPath("/srv/deep/b"), 0)
    assert await sh(lease, "ls a 2>/dev/null; stat -c '%a %U' /srv/deep/b; cat /srv/deep/b 2>&1") == (
        "0 agent\ncat: /srv/deep/b: Permission denied\n"
    )


async def test_services_are_launched_dialled_and_signalled(lease: Lease) -> None:
    log = PurePosixPath("/var/log/server.log")
    await lease.control.plant(HOME / "server.py", SERVER.encode())
    await lease.control.launch(["python3", "server.py"], cwd=HOME, log=log)
    async with asyncio.timeout(10):
        while not (found := await lease.control.listeners()):  # noqa: ASYNC110  nothing tells
            await asyncio.sleep(0.05)
    assert (found[0].port, len(found[0].pids)) == (8123, 1)
    assert await lease.control.dial(8123, b"hello") == b"HELLO"
    assert await lease.control.dial(8124, b"hello") is None
    (server,) = await lease.control.processes()
    assert server.argv == ("python3", "server.py")
    assert server.cwd == str(HOME)
    assert server.mapped
    assert await lease.control.signal(server, SIGSTOP)
    assert await lease.control.dial(8123, b"hello", timeout_s=0.3) == b""
    assert await lease.control.signal(server, SIGKILL)
    await asyncio.sleep(0.1)
    assert not await lease.control.signal(server, SIGKILL)
    assert await lease.control.processes() == []


async def test_nothing_is_launched_once_the_agent_was_there(lease: Lease) -> None:
    await sh(lease, "true")
    with pytest.raises(Closed):
        await lease.control.launch(["true"], cwd=HOME, log=HOME / "log")


async def test_the_judge_still_sees_after_the_freeze(lease: Lease) -> None:
    await lease.control.plant(HOME / "server.py", SERVER.encode())
    await sh(lease, "setsid nohup python3 server.py >log 2>&1 & sleep 0.5; echo result >result")
    await lease.control.freeze()
    assert await lease.control.look(HOME / "result") == b"result\n"
    assert await lease.control.dial(8123, b"x") == b"X"
    assert [process.argv[:1] for process in await lease.control.processes()] == [("python3",)]
