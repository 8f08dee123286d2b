"""redline's SSH hosts beside the OpenSSH client, on one sshd of this host.

    python -m benchmarks.machines_ssh      takes half a minute, prints a Markdown table

OpenSSH's client starts a process for each command and has nobody at the other end: no time limits, no caps on
output, no way to find a command again whose link was lost.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import subprocess
import tempfile
import time
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.tables import Row, table
from environments import Limits
from environments.attendant import BOOT_COMMAND, Attendant, AttendedEnvironment
from environments.ssh import Link, SshHost

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

__all__ = ["measured"]

_OPENSSH = "OpenSSH client, ControlMaster"
_SETTINGS = """\
ListenAddress 127.0.0.1
PidFile none
UsePAM no
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
"""


@contextmanager
def _sshd(folder: Path) -> Iterator[SshHost]:
    """Run an sshd that knows one key, with an empty home: a .bashrc is not what is measured."""
    for name in ("host", "key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = int(server.getsockname()[1])
    settings = f"Port {port}\nHostKey {folder}/host\nAuthorizedKeysFile {folder}/key.pub\n"
    (folder / "config").write_text(_SETTINGS + settings)
    command = ["/usr/sbin/sshd", "-D", "-e", "-f", str(folder / "config")]
    if os.geteuid() == 0:
        inside = 'mount -t tmpfs run /run && mkdir /run/sshd && mount -t tmpfs home "$HOME" && exec "$@"'
        command = ["unshare", "--mount", "sh", "-c", inside, "sh", *command]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            _await_banner(port)
            yield SshHost(
                address="127.0.0.1",
                port=port,
                user=os.environ.get("USER", "root"),
                identities=(folder / "key",),
                host_key=" ".join((folder / "host.pub").read_text().split()[:2]),
                config=None,
            )
        finally:
            process.kill()


def _await_banner(port: int) -> None:
    while True:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5) as probe:
            if probe.recv(4) == b"SSH-":
                return
        time.sleep(0.02)


@asynccontextmanager
async def _ours(host: SshHost) -> AsyncIterator[AttendedEnvironment]:
    link = Link(host)
    await link.open()
    attendant = Attendant(
        lambda: link.wire(BOOT_COMMAND), address=host.place, keep=secrets.token_hex(8), linger_s=5
    )
    try:
        await attendant.start()
        yield AttendedEnvironment(attendant, name="ssh", limits=Limits())
    finally:
        await attendant.aclose()
        await link.aclose()


def _openssh(host: SshHost, folder: Path, *options: str) -> list[str]:
    known = folder / "known_hosts"
    known.write_text(f"[{host.address}]:{host.port} {host.host_key}\n")
    return [
        *("ssh", "-F", "none", "-i", str(host.identities[0]), "-p", str(host.port), "-l", host.user),
        *("-o", f"UserKnownHostsFile={known}", "-o", "BatchMode=yes", *options, host.address),
    ]


async def _connections(host: SshHost, folder: Path, times: int) -> tuple[list[float], list[float]]:
    """Return the seconds from nothing to the answer of a first command."""
    ours, theirs = [], []
    for _ in range(times):
        began = time.perf_counter()
        async with _ours(host) as agent:
            assert (await agent.exec(["true"])).ok
            ours.append(time.perf_counter() - began)
        began = time.perf_counter()
        await _run([*_openssh(host, folder), "true"])
        theirs.append(time.perf_counter() - began)
    return ours, theirs


async def _commands(host: SshHost, folder: Path, times: int) -> tuple[list[float], list[float]]:
    """Return the seconds of a command over a connection that is there."""
    ours, theirs = [], []
    with _master(host, folder) as command:
        async with _ours(host) as agent:
            await agent.exec(["true"])
            await _run(command)
            for _ in range(times):
                began = time.perf_counter()
                assert (await agent.exec(["true"])).ok
                between = time.perf_counter()
                await _run(command)
                ours.append(between - began)
                theirs.append(time.perf_counter() - between)
    return ours, theirs


@contextmanager
def _master(host: SshHost, folder: Path) -> Iterator[list[str]]:
    """Keep a connection open with OpenSSH's client, and yield a command that shares it."""
    control = ("-o", f"ControlPath={folder}/control")
    opening = [*_openssh(host, folder, *control, "-M", "-N")]
    with subprocess.Popen(opening, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as master:
        try:
            while not (folder / "control").exists():
                time.sleep(0.02)
            yield [*_openssh(host, folder, *control), "true"]
        finally:
            master.terminate()


async def _run(command: Sequence[str]) -> None:
    process = await asyncio.create_subprocess_exec(*command, stdin=subprocess.DEVNULL)
    assert await process.wait() == 0


def measured() -> str:
    """Return the table."""
    with tempfile.TemporaryDirectory() as place, _sshd(Path(place)) as host:
        asyncio.run(_connections(host, Path(place), 2))
        connected = asyncio.run(_connections(host, Path(place), 20))
        commanded = asyncio.run(_commands(host, Path(place), 100))
    rows = [
        Row(what=what, unit="ms", values=_ms(ours), beside=_ms(theirs), at_most=at_most)
        for what, (ours, theirs), at_most in (
            ("connect and run a first command", connected, 1.5),
            ("run a command on a warm connection", commanded, 2),
        )
    ]
    return table("SSH host", _OPENSSH, rows)


def _ms(seconds: Sequence[float]) -> list[float]:
    return [1e3 * value for value in seconds]


if __name__ == "__main__":
    print(measured())
