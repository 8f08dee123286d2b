"""Checks of the control handle: what it plants the agent finds, what the agent does it sees."""

from __future__ import annotations

import asyncio
import errno
import signal
from dataclasses import replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from environments.errors import Closed
from environments.protocols import Control, Environment
from environments.testing.commands import sh

if TYPE_CHECKING:
    from environments.types import Lease, Listener, Process

__all__ = ["CONTROL", "LAUNCH", "SERVER", "listening", "serve"]

SERVER = """\
import socket, sys
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    connection, _ = server.accept()
    with connection:
        connection.sendall(b"heard " + connection.recv(100))
"""
_PORT = 23117
_OUTSIDE = PurePosixPath("/srv/redline/conformance/planted")


async def serve(lease: Lease, port: int) -> None:
    """Have the agent leave a small server in the background."""
    await lease.agent.write(lease.agent.home / "server.py", SERVER.encode())
    await sh(lease.agent, f"python3 server.py {port} </dev/null >/dev/null 2>&1 &")


async def listening(lease: Lease, port: int) -> Listener:
    """Wait until something accepts connections on a port."""
    for _ in range(150):
        for listener in await lease.control.listeners():
            if listener.port == port:
                return listener
        await asyncio.sleep(0.1)
    raise AssertionError(f"nothing listens on port {port}")


async def the_handles_have_different_powers(lease: Lease) -> None:
    """Neither handle can be taken for the other."""
    assert isinstance(lease.agent, Environment)
    assert isinstance(lease.control, Control)
    assert not isinstance(lease.agent, Control)
    assert not isinstance(lease.control, Environment)


async def what_is_planted_belongs_to_the_agent(lease: Lease) -> None:
    """Planted files have the user's ownership and the given mode."""
    path = lease.agent.home / "planted/here"
    await lease.control.plant(path, b"\0planted", mode=0o640)
    assert await lease.agent.read(path) == b"\0planted"
    assert (
        await sh(lease.agent, "stat -c %a planted/here; test -O planted/here && echo own")
    ).text.split() == [
        "640",
        "own",
    ]
    await lease.control.chmod(path, 0o000)
    assert await lease.control.look(path) == b"\0planted", "the judge is kept out by permissions"
    await lease.control.move(path, lease.agent.home / "moved/there")
    assert await lease.control.look(path) is None
    assert await lease.control.look(lease.agent.home / "moved/there", limit=4) == b"\0pla"
    assert await lease.control.look(lease.agent.home / "moved") is None, "a directory was looked at as a file"
    await sh(lease.agent, "rm -rf planted moved")


async def trees_are_described_not_followed(lease: Lease) -> None:
    """Links are named with their targets, hard links share an identity, nothing is entered through a link."""
    await sh(lease.agent, "mkdir -p t/d; echo x >t/d/f; ln t/d/f t/hard; ln -s /usr t/away; mkfifo t/pipe")
    home = lease.agent.home
    facts = {fact.path: fact for fact in await lease.control.walk(home / "t")}
    kinds = {
        "": "directory",
        "d": "directory",
        "d/f": "file",
        "hard": "file",
        "away": "link",
        "pipe": "other",
    }
    assert {path: fact.kind for path, fact in facts.items()} == {home / "t" / k: v for k, v in kinds.items()}
    assert facts[home / "t/away"].target == "/usr"
    assert facts[home / "t/d/f"].id == facts[home / "t/hard"].id
    assert (facts[home / "t/hard"].links, facts[home / "t/hard"].size) == (2, 2)
    assert await lease.control.look(home / "t/pipe") is None
    assert await lease.control.look(home / "t/away") is None
    await sh(lease.agent, "rm -r t")


async def times_of_files_are_told(lease: Lease) -> None:
    """A file's last reading is told as its user set it, its last change as the kernel keeps it."""
    path = lease.agent.home / "dated"
    await sh(lease.agent, "echo x >dated; python3 -c 'import os; os.utime(\"dated\", (10**9, 10**9))'")
    kernels = await sh(lease.agent, "stat -c %Z dated")
    (fact,) = await lease.control.walk(path)
    assert fact.accessed == 1e9
    assert int(fact.changed) == int(kernels.text), "another time of change than the kernel keeps"
    await sh(lease.agent, "rm dated")


async def processes_are_seen_and_hit(lease: Lease) -> None:
    """A process is seen with its arguments and place, and a signal reaches it and no later namesake."""
    await sh(lease.agent, "mkdir -p den; cd den; sleep 4714 </dev/null >/dev/null 2>&1 &")
    seen = await _process(lease, "4714")
    assert seen.cwd == str(lease.agent.home / "den")
    assert seen.argv[-2:] == ("sleep", "4714")
    other = replace(seen, started=seen.started + 1)
    assert not await lease.control.signal(other, signal.SIGKILL), "another process of that number was hit"
    assert await lease.control.signal(seen, signal.SIGSTOP)
    for _ in range(50):
        if (stopped := await _process(lease, "4714")).state == "T":
            break
        await asyncio.sleep(0.05)
    assert stopped.state == "T"
    assert await lease.control.signal(seen, signal.SIGKILL)
    for _ in range(50):
        if not any("4714" in process.argv for process in await lease.control.processes()):
            break
        await asyncio.sleep(0.05)
    assert not await lease.control.signal(seen, signal.SIGKILL)


async def _process(lease: Lease, mark: str) -> Process:
    for _ in range(50):
        for process in await lease.control.processes():
            if mark in process.argv:
                return process
        await asyncio.sleep(0.1)
    raise AssertionError(f"`sleep {mark}` is not among the machine's processes")


async def listeners_are_seen_and_reached(lease: Lease) -> None:
    """A listening socket is attributed to its process, and can be talked to from outside."""
    await serve(lease, _PORT)
    listener = await listening(lease, _PORT)
    owners = {p.pid: p for p in await lease.control.processes() if p.pid in listener.pids}
    assert [p.argv[-1] for p in owners.values()] == [str(_PORT)]
    assert await lease.control.dial(_PORT, b"knock", timeout_s=20) == b"heard knock"
    for process in owners.values():
        await lease.control.signal(process, signal.SIGKILL)
    for _ in range(50):
        if await lease.control.dial(_PORT, b"knock") is None:
            break
        await asyncio.sleep(0.05)
    assert await lease.control.dial(_PORT, b"knock") is None


async def services_are_launched_before_the_agent_comes(lease: Lease) -> None:
    """Preparation can start a service as the machine's user, but not once the agent has been in."""
    home = lease.agent.home
    await lease.control.plant(home / "server.py", SERVER.encode())
    outside = await _planted_outside(lease)
    argv = ["python3", str(home / "server.py"), str(_PORT)]
    await lease.control.launch(argv, cwd=home, log=home / "logs/server.log")
    assert await _answer(lease) == b"heard knock"
    owner = await sh(lease.agent, "test -O logs/server.log && kill -0 $(pgrep -f server.py)")
    assert owner.ok, "the service does not run as the machine's user"
    if outside:
        assert await lease.agent.read(_OUTSIDE) == b"planted", "what was planted is not the user's"
    await _refused(lease, argv, home)
    await sh(lease.agent, "pkill -f server.py || kill $(pgrep -f server.py)")


async def _planted_outside(lease: Lease) -> bool:
    """Plant where the user cannot write, unless the control handle cannot either, or nobody can."""
    if lease.control.grade == "same_user":
        return False
    try:
        await lease.control.plant(_OUTSIDE, b"planted", mode=0o600)
    except OSError as error:
        if error.errno == errno.EROFS:
            return False
        raise
    return True


async def _answer(lease: Lease) -> bytes | None:
    for _ in range(100):
        if (answer := await lease.control.dial(_PORT, b"knock", timeout_s=20)) is not None:
            return answer
        await asyncio.sleep(0.1)
    return None


async def _refused(lease: Lease, argv: list[str], home: PurePosixPath) -> None:
    try:
        await lease.control.launch(argv, cwd=home, log=home / "logs/second.log")
    except Closed:
        return
    raise AssertionError("a service was launched after the agent had been let in")


LAUNCH = (services_are_launched_before_the_agent_comes,)
CONTROL = (
    the_handles_have_different_powers,
    what_is_planted_belongs_to_the_agent,
    trees_are_described_not_followed,
    times_of_files_are_told,
    processes_are_seen_and_hit,
    listeners_are_seen_and_reached,
)
