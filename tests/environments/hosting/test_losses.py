"""What becomes of a program when something between it and redline is gone, or redline itself."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hosted_programs import FAMILY, gone_here, lines, pids, until

from environments import LinkLost, Unavailable
from environments.hosting import HERE, host_of
from environments.hosting.over_ssh import ssh_host
from environments.ssh import SshHosts, connect

if TYPE_CHECKING:
    from ssh_host import Sshd, World

    from environments.hosting import Host

pytestmark = pytest.mark.anyio
TESTS = Path(__file__).parents[2]
HOLDS = """
import asyncio, sys
from pathlib import Path
from hosted_programs import FAMILY
from environments.hosting import host_of

async def hold():
    async with host_of(sys.argv[1]) as host:
        async with host.program(FAMILY, environ={}, log=Path(sys.argv[2])) as program:
            await program.ended()

asyncio.run(hold())
"""


def redline_that_holds(name: str, log: Path) -> subprocess.Popen[bytes]:
    """Start a runner that keeps a program on a host."""
    environ = {**os.environ, "PYTHONPATH": str(TESTS)}
    return subprocess.Popen([sys.executable, "-c", HOLDS, name, log], env=environ)


def signal_connections(sshd: Sshd, number: signal.Signals) -> None:
    """Send a signal to the processes that serve the connections to a host."""
    for pid in sshd.children():
        with suppress(OSError):
            if Path(f"/proc/{pid}/comm").read_text().startswith("sshd"):
                os.kill(pid, number)


async def test_whoever_keeps_it_here_is_killed(tmp_path: Path) -> None:
    log = tmp_path / "log"
    async with HERE.program(
        ["sh", "-c", "echo pid $PPID; echo pid $$; exec sleep 1000"], environ={}, log=log
    ) as it:
        await until(lambda: len(pids(log)) == 2)
        os.kill(pids(log)[0], signal.SIGKILL)
        with pytest.raises(LinkLost, match="here: the way to sh is lost: what keeps it was ended"):
            await it.ended()
        await until(lambda: gone_here(pids(log)))


async def test_a_connection_is_lost_and_the_program_started_again(
    sshd: Sshd, over_ssh: Host, tmp_path: Path
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    async with over_ssh.reach(await over_ssh.free_port()) as here:
        async with over_ssh.program(FAMILY, environ={}, log=first) as program:
            await until(lambda: len(pids(first)) == 4)
            signal_connections(sshd, signal.SIGKILL)
            with pytest.raises(LinkLost, match=f"{over_ssh.name}: the way to sh is lost"):
                await program.ended()
        await until(lambda: gone_here(pids(first)))
        async with over_ssh.program(FAMILY, environ={}, log=second):
            await until(lambda: len(pids(second)) == 4)
            _, writer = await asyncio.open_connection("127.0.0.1", here)
            writer.close()
    assert gone_here(pids(second))


async def test_a_connection_falls_silent(sshd: Sshd, tmp_path: Path) -> None:
    log = tmp_path / "log"
    login = replace(sshd.host, keepalive_s=1.0)
    async with ssh_host(login, patience_s=4.0) as host, host.program(FAMILY, environ={}, log=log) as program:
        await until(lambda: len(pids(log)) == 4)
        signal_connections(sshd, signal.SIGSTOP)
        try:
            with pytest.raises(LinkLost, match=host.name):
                await program.ended()
            await until(lambda: gone_here(pids(log)))
        finally:
            signal_connections(sshd, signal.SIGKILL)


async def test_a_host_dies(sshd: Sshd, tmp_path: Path) -> None:
    place = f"127.0.0.1:{sshd.port}"
    async with ssh_host(replace(sshd.host, patience_s=0.5)) as host:
        async with host.program(FAMILY, environ={}, log=tmp_path / "log") as program:
            await until(lambda: len(pids(tmp_path / "log")) == 4)
            sshd.stop()
            with pytest.raises(LinkLost, match=place):
                await program.ended()
        with pytest.raises(LinkLost, match=f"{place}.*nothing listens there"):
            await host.look(["true"])
    with pytest.raises(Unavailable, match=f"{place}: nothing listens there; start sshd on the host"):
        async with host_of(f"ssh://{place}"):
            pytest.fail("it was opened")


@pytest.mark.parametrize("where", ["here", "ssh"])
async def test_redline_is_killed(where: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    name = where
    if where == "ssh":
        sshd: Sshd = request.getfixturevalue("sshd")
        key = sshd.host_key.replace(" ", "%20").replace("+", "%2B")
        name = f"ssh://{sshd.host.user}@127.0.0.1:{sshd.port}?identity={sshd.key}&host_key={key}"
    log = tmp_path / "log"
    runner = redline_that_holds(name, log)
    try:
        await until(lambda: len(pids(log)) == 4 or runner.poll() is not None)
    finally:
        runner.kill()
        runner.wait()
    assert len(pids(log)) == 4
    await until(lambda: gone_here(pids(log)))


async def test_a_login_that_may_be_an_agents_has_no_port_dialled(sshd: Sshd) -> None:
    async with connect(sshd.host) as connection:
        with pytest.raises(PermissionError):
            await connection.dial(sshd.port)
    async with connect(replace(sshd.host, our_own=True)) as connection:
        wire = await connection.dial(sshd.port)
        assert (await wire.receive()).startswith(b"SSH-2.0")
        wire.close()


async def test_no_agent_comes_to_where_a_program_of_ours_listens(world: World, tmp_path: Path) -> None:
    """This world shares our loopback interface."""
    machines = SshHosts(machines=(world.machine,))
    never_both = "would share its loopback interface; let agents act on other hosts"
    async with HERE.program(["sleep", "1000"], environ={}, log=tmp_path / "log"):
        with pytest.raises(Unavailable, match=f"a program of the study's own is there.*{never_both}"):
            async with machines.open(label="test", seed=0):
                pytest.fail("it was opened")
    async with machines.open(label="test", seed=0):
        with pytest.raises(Unavailable, match=f"here: an agent is there already.*{never_both}"):
            async with HERE.program(["sleep", "1000"], environ={}, log=tmp_path / "log"):
                pytest.fail("it was started")


async def test_a_host_that_leads_nobody_to_its_ports_is_named(sshd: Sshd) -> None:
    sshd.restart("AllowTcpForwarding no")
    async with ssh_host(sshd.host) as host:
        with pytest.raises(
            Unavailable, match=f"{host.name}: its sshd leads nobody.*`AllowTcpForwarding local`"
        ):
            async with host.reach(await host.free_port()):
                pytest.fail("it was reached")


async def test_a_host_without_python_is_named(sshd: Sshd, tmp_path: Path) -> None:
    shell = tmp_path / "shell"
    shell.write_text("#!/bin/sh\necho Welcome; echo 'sh: 1: exec: python3: not found' >&2; exit 127\n")
    shell.chmod(0o755)
    sshd.restart(f"ForceCommand {shell}")
    async with ssh_host(sshd.host) as host:
        with pytest.raises(Unavailable, match=f"{host.name}: python3 is missing; install it there"):
            await host.look(["true"])


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("shh://host", "shh://host is no host for a program; did you mean ssh"),
        ("gpu7", "write ssh://USER@HOST:PORT, vm:IMAGE, or here"),
        ("ssh://me@host?control_user=root", "no agent"),
    ],
)
async def test_a_name_that_stands_for_nothing_is_mended(name: str, said: str) -> None:
    with pytest.raises(Unavailable, match=said):
        async with host_of(name):
            pytest.fail("it was opened")


async def test_a_login_shell_may_chatter(sshd: Sshd, tmp_path: Path) -> None:
    sshd.restart("ForceCommand sh -c 'echo Welcome; eval \"$SSH_ORIGINAL_COMMAND\"'")
    log = tmp_path / "log"
    async with ssh_host(sshd.host) as host, host.program(["echo", "hello"], environ={}, log=log) as program:
        assert await program.ended() == 0
    assert lines(log) == ["hello"]
