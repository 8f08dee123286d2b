"""SSH connections, against a real sshd: who is let in, who is refused and why, and what channels carry."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from ssh_host import Sshd, World, free_port, key_pair

from environments import Unavailable
from environments.ssh import Connection, SshHost, connect
from environments.ssh.address import jump_over

if TYPE_CHECKING:
    from collections.abc import Iterator

    from environments.wire import Wire

pytestmark = pytest.mark.anyio


async def everything(wire: Wire) -> bytes:
    said = b""
    while chunk := await wire.receive():
        said += chunk
    return said


def said_by(*command: str | Path) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


async def run(host: SshHost, command: str) -> str:
    async with connect(host) as connection:
        return (await everything(await connection.wire(command))).decode()


async def refused(host: SshHost) -> str:
    with pytest.raises(Unavailable) as caught:
        async with connect(host):
            pass
    assert "\n" not in str(caught.value)
    return str(caught.value)


async def test_commands_share_one_connection(sshd: Sshd) -> None:
    async with connect(sshd.host) as connection:
        wires = [await connection.wire(f"read go; echo {number}") for number in range(8)]
        for wire in reversed(wires):
            await wire.send(b"go\n")
        assert [await everything(wire) for wire in wires] == [b"%d\n" % number for number in range(8)]
        assert len([pid for pid in sshd.children() if _command(pid).startswith("sshd:")]) <= 2
    await _until_alone(sshd)


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


async def _until_alone(sshd: Sshd) -> None:
    for _ in range(100):
        if not sshd.children():
            return
        await asyncio.sleep(0.05)
    raise AssertionError([_command(pid) for pid in sshd.children()])


async def test_bytes_pass_unchanged_both_ways(sshd: Sshd) -> None:
    data = os.urandom(16 << 20)
    async with connect(sshd.host) as connection:
        wire = await connection.wire(f"head -c {len(data)}")
        sending = asyncio.create_task(wire.send(data))
        assert await everything(wire) == data
        await sending


async def test_a_slow_reader_holds_up_the_host_and_not_our_memory(sshd: Sshd) -> None:
    async with connect(sshd.host) as connection:
        wire = await connection.wire("cat /dev/zero")
        await wire.receive()
        await asyncio.sleep(1)
        assert len(await wire.receive()) < 8 << 20
        assert await everything(await connection.wire("echo others go on")) == b"others go on\n"
        wire.close()


async def test_what_cannot_be_run_says_why(sshd: Sshd) -> None:
    assert "no-such-program" in await run(sshd.host, "no-such-program")


async def test_a_lost_connection_is_an_error_and_an_end_is_not(sshd: Sshd) -> None:
    async with connect(sshd.host) as connection:
        assert await everything(await connection.wire("true")) == b""
        wire = await connection.wire("sleep 60")
        for pid in sshd.children():
            os.kill(pid, signal.SIGKILL)
        with pytest.raises(OSError, match="connection is gone"):
            await everything(wire)
        with pytest.raises(OSError, match="is closed"):
            await wire.send(b"x")
        assert connection.lost
        with pytest.raises(OSError, match="no channel"):
            await connection.wire("true")


async def test_an_unknown_host_key_is_shown_with_how_to_accept_it(sshd: Sshd, tmp_path: Path) -> None:
    known, config = tmp_path / "known", tmp_path / "ssh_config"
    config.write_text(f"Host *\n  UserKnownHostsFile {known}\n  StrictHostKeyChecking no\n")
    host = replace(sshd.host, host_key=None, config=config)
    said = await refused(host)
    fingerprint = said_by("ssh-keygen", "-lf", sshd.folder / "host.pub").split()[1]
    line = f"[127.0.0.1]:{sshd.port} {sshd.host_key}"
    assert said.startswith(
        f"127.0.0.1:{sshd.port}: the host key is not known, it is ssh-ed25519 {fingerprint};"
    )
    assert f"add `{line}` to ~/.ssh/known_hosts, or host_key = '{sshd.host_key}'" in said
    known.write_text(line + "\n")
    assert await run(host, "echo in") == "in\n"


@pytest.mark.parametrize("file", ["none", "/dev/null"])
async def test_no_configuration_turns_the_check_off(sshd: Sshd, tmp_path: Path, file: str) -> None:
    config = tmp_path / "ssh_config"
    config.write_text(f"Host *\n  UserKnownHostsFile {file}\n  StrictHostKeyChecking no\n")
    assert "the host key is not known" in await refused(replace(sshd.host, host_key=None, config=config))


async def test_another_ports_key_does_not_count(sshd: Sshd, tmp_path: Path) -> None:
    known, config = tmp_path / "known", tmp_path / "ssh_config"
    config.write_text(f"UserKnownHostsFile {known}\n")
    known.write_text(f"127.0.0.1 {key_pair(tmp_path / 'other')}\n")
    assert "the host key is not known" in await refused(replace(sshd.host, host_key=None, config=config))


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa"])
async def test_a_changed_host_key_is_refused_loudly(sshd: Sshd, tmp_path: Path, kind: str) -> None:
    known, config = tmp_path / "known", tmp_path / "ssh_config"
    config.write_text(f"UserKnownHostsFile {known}\n")
    known.write_text(f"[127.0.0.1]:{sshd.port} {sshd.host_key}\n")
    before = sshd.host
    sshd.stop()
    sshd.new_host_key(kind)
    sshd.start()
    said = await refused(replace(before, host_key=None, config=config))
    assert f"127.0.0.1:{sshd.port}: THE HOST KEY HAS CHANGED: known_hosts has ssh-ed25519 SHA256:" in said
    assert kind in said.partition("the host shows")[2]
    assert f"ssh-keygen -R '[127.0.0.1]:{sshd.port}'" in said
    assert "host_key has ssh-ed25519" in await refused(before)


async def test_a_refused_key_is_named(sshd: Sshd, tmp_path: Path) -> None:
    key_pair(tmp_path / "stranger")
    said = await refused(replace(sshd.host, identities=(tmp_path / "stranger",)))
    assert said.startswith(
        f"127.0.0.1:{sshd.port}: the host refuses {sshd.host.user} with {tmp_path}/stranger;"
    )
    assert "authorized_keys" in said
    said = await refused(replace(sshd.host, user="nobody-of-that-name"))
    assert "the host refuses nobody-of-that-name" in said


async def test_a_dead_port_and_an_unknown_name_are_told_apart(sshd: Sshd) -> None:
    port = free_port()
    said = await refused(replace(sshd.host, port=port))
    assert said == f"127.0.0.1:{port}: nothing listens there; start sshd on the host, or mend the port"
    said = await refused(replace(sshd.host, address="no-such-host.invalid"))
    assert "the name no-such-host.invalid is not known; mend the address" in said


async def test_what_is_no_ssh_server_is_said_to_be_none(sshd: Sshd) -> None:
    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.0 400 what?\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        said = await refused(replace(sshd.host, port=port))
    assert f"127.0.0.1:{port}: the connection was closed before the login" in said
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        said = await refused(replace(sshd.host, port=port, connect_s=0.5))
    assert f"127.0.0.1:{port}: no SSH server answered within 0.5 s" in said


async def test_the_users_configuration_counts(sshd: Sshd, tmp_path: Path) -> None:
    known, config = tmp_path / "known", tmp_path / "ssh_config"
    config.write_text(
        f"Host lab\n  HostName 127.0.0.1\n  Port {sshd.port}\n  User {sshd.host.user}\n"
        f"  IdentityFile {sshd.key}\n  UserKnownHostsFile {known}\n"
        f"  ForwardAgent yes\n  SendEnv SECRET\n  RemoteCommand false\n"
    )
    known.write_text(f"[127.0.0.1]:{sshd.port} {sshd.host_key}\n")
    assert await run(SshHost(address="lab", config=config), "echo $SSH_AUTH_SOCK in") == "in\n"
    config.write_text("Port many\n")
    said = await refused(SshHost(address="lab", config=config))
    assert str(config) in said
    assert "line 1" in said


@contextmanager
def ssh_agent(place: Path) -> Iterator[None]:
    with subprocess.Popen(["ssh-agent", "-D", "-a", place], stdout=subprocess.DEVNULL) as agent:
        try:
            while not place.exists():
                time.sleep(0.01)
            yield
        finally:
            agent.kill()


async def test_keys_may_be_in_the_ssh_agent_and_no_other_is_offered(
    sshd: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "agent.sock"
    monkeypatch.setenv("SSH_AUTH_SOCK", str(place))
    with ssh_agent(place):
        for number in range(7):  # more than sshd lets anyone try
            key_pair(tmp_path / f"other{number}")
            said_by("ssh-add", "-q", tmp_path / f"other{number}")
        said_by("ssh-add", "-q", sshd.key)
        locked = tmp_path / "locked"
        shutil.copy(sshd.key, locked)
        shutil.copy(f"{sshd.key}.pub", f"{locked}.pub")
        said_by("ssh-keygen", "-q", "-p", "-N", "sesame", "-f", locked)
        assert await run(replace(sshd.host, identities=(locked,)), "echo in") == "in\n"
        said_by("ssh-add", "-q", "-d", sshd.key)
        assert "the host refuses" in await refused(replace(sshd.host, identities=(locked,)))


async def test_other_ways_to_a_host(sshd: Sshd, tmp_path: Path) -> None:
    known, config = tmp_path / "known", tmp_path / "ssh_config"
    config.write_text(f"UserKnownHostsFile {known}\nIdentityFile {sshd.key}\n")
    known.write_text(f"[127.0.0.1]:{sshd.port} {sshd.host_key}\n")
    jump = jump_over(f"{sshd.host.user}@127.0.0.1:{sshd.port}", config=config)
    assert await run(replace(sshd.host, jump=jump), "echo over") == "over\n"
    relay = f"python3 -c '{_RELAY}' {sshd.port}"
    nowhere = replace(sshd.host, address="nowhere.invalid", port=22)
    assert await run(replace(nowhere, proxy_command=relay), "echo through") == "through\n"

    async def dial() -> socket.socket:
        dialled = socket.create_connection(("127.0.0.1", sshd.port))
        dialled.setblocking(False)
        return dialled

    assert await run(replace(nowhere, dial=dial), "echo dialled") == "dialled\n"
    config.write_text(f"{config.read_text()}Host nowhere.invalid\n  ProxyCommand {relay}\n")
    assert await run(replace(nowhere, config=config), "echo configured") == "configured\n"
    await _until_alone(sshd)


_RELAY = (
    'import os, select, socket, sys; s = socket.create_connection(("127.0.0.1", int(sys.argv[1])));'
    "[os._exit(0) if not (d := os.read(f, 65536)) else (os.write(1, d) if f else s.sendall(d))"
    " for _ in iter(int, 1) for f in (select.select([0, s.fileno()], [], [])[0])]"
)


async def test_what_is_wrong_on_the_way_is_said(sshd: Sshd, tmp_path: Path) -> None:
    said = await refused(replace(sshd.host, proxy_command="exit 3"))
    assert "the connection was closed before the login" in said
    jump = replace(sshd.host, host_key=key_pair(tmp_path / "other"))
    assert "THE HOST KEY HAS CHANGED" in await refused(replace(sshd.host, jump=jump))
    dead = free_port()
    said = await refused(replace(sshd.host, jump=sshd.host, port=dead))
    assert said.startswith(f"127.0.0.1:{dead}: the jump host does not get there")
    await _until_alone(sshd)


async def test_two_hundred_connections_at_once_lose_nothing_and_leave_nothing(world: World) -> None:
    before = len(os.listdir("/proc/self/fd"))
    host = replace(world.login("agent", world.key), connect_s=90.0)

    async def one(number: int) -> bytes:
        connection = await Connection.open(host)
        connections.append(connection)
        return await everything(await connection.wire(f"echo {number}"))

    connections: list[Connection] = []
    said = await asyncio.gather(*(one(number) for number in range(200)))
    assert said == [b"%d\n" % number for number in range(200)]
    assert len(connections) == 200
    await asyncio.gather(*(connection.aclose() for connection in connections))
    for _ in range(100):
        if (left := world.do("pgrep -f 'sshd: agent' | wc -l").strip()) == "0":
            break
        await asyncio.sleep(0.05)
    assert left == "0"
    assert len(os.listdir("/proc/self/fd")) <= before + 2
