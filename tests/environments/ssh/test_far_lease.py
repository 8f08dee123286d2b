"""A runner that is gone cannot hold on to a host: root's warden there ends what the agent left running."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from environments import Broken, Limits
from environments.ssh import SshHosts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ssh_host import World

pytestmark = pytest.mark.anyio
LEASE_S = 3.0
STUBBORN = "(trap '' TERM HUP INT QUIT; while :; do sleep 1 & wait; done) </dev/null >/dev/null 2>&1 &"
RUNNER = f"""
import asyncio, sys
from pathlib import Path
from environments import Limits
from environments.ssh import SshHosts
from environments.ssh.address import SshHost, SshMachine

address, port, agent_key, root_key, host_key = sys.argv[1:]

def login(user, key):
    return SshHost(
        address=address, port=int(port), user=user, identities=(Path(key),), host_key=host_key, config=None
    )

async def main():
    machine = SshMachine(name="world", agent=login("agent", agent_key), control=login("root", root_key))
    async with SshHosts(machines=(machine,), limits=Limits()).open(label="test", seed=0) as lease:
        await lease.agent.exec(["bash", "-c", {STUBBORN!r} + "echo left >behind"])
        print("ready", flush=True)
        sys.stdin.readline()
        while True:
            pass

asyncio.run(main())
"""


@contextmanager
def runner(world: World) -> Iterator[subprocess.Popen[str]]:
    keys = [str(world.key), str(world.root_key), world.host_key]
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(RUNNER), world.address, str(world.port), *keys],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "REDLINE_LEASE_S": f"{LEASE_S}"},
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        try:
            yield process
        finally:
            process.kill()


def theirs(world: World) -> str:
    return world.do("ps -o args= -u agent")


async def quiet_after(world: World) -> float:
    began = time.monotonic()
    while theirs(world):
        assert time.monotonic() - began < LEASE_S + 20
        await asyncio.sleep(0.05)
    return time.monotonic() - began


@pytest.mark.parametrize("event", ["killed", "stopped", "hung"])
async def test_a_host_is_quiet_soon_after_its_runner_is_gone(world: World, event: str) -> None:
    before = world.do("ls -A /home/agent")
    with runner(world) as process:
        assert "sleep 1" in theirs(world)
        match event:
            case "killed":
                process.kill()
            case "stopped":
                os.kill(process.pid, signal.SIGSTOP)
            case _:
                assert process.stdin is not None
                process.stdin.write("\n")
                process.stdin.flush()
        took = await quiet_after(world)
    assert took <= LEASE_S + 2
    for _ in range(200):
        if not world.do("ls /var/lib/redline 2>/dev/null"):
            break
        await asyncio.sleep(0.05)
    assert world.do("ls -A /home/agent; ls /var/lib/redline 2>/dev/null") == before


async def test_a_lease_that_is_renewed_goes_on(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDLINE_LEASE_S", "1")
    async with SshHosts(machines=(world.machine,), limits=Limits()).open(label="test", seed=0) as lease:
        await lease.agent.exec(["bash", "-c", STUBBORN])
        await asyncio.sleep(3)
        assert "sleep 1" in theirs(world)
        watcher = world.do("pgrep -P 1 -u root python3").split()
        assert len(watcher) == 1
        world.do(f"kill -KILL {watcher[0]}")
        await asyncio.sleep(1)
        assert len(world.do("pgrep -P 1 -u root python3").split()) == 1
    assert theirs(world) == ""


async def test_a_host_lives_no_longer_than_it_may(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDLINE_LEASE_S", "1")
    hosts = SshHosts(machines=(world.machine,), limits=Limits(lifetime_s=2.0))

    async def outstay() -> None:
        async with hosts.open(label="test", seed=0) as lease:
            await lease.agent.exec(["bash", "-c", STUBBORN])
            await quiet_after(world)

    with pytest.raises(Broken, match="its time was up"):
        await outstay()
