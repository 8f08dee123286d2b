"""SSH connections: the only file that knows asyncssh.

What asyncssh would take from ~/.ssh/config and what could open a way back into the runner or weaken the check
of the host's key is set here: no forwarding but a gate's, no environment sent, no `UserKnownHostsFile none`.
Ports are dialled on hosts of the study's own alone, which no agent acts on.
"""

from __future__ import annotations

import asyncio
import random
import shlex
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import asyncssh

from environments.errors import Unavailable
from environments.ssh.address import jump_over
from environments.ssh.login import proxied, settings, tried_keys, turn
from environments.ssh.refusals import closed_early, credentials_refused, key_refused, nothing_there, too_late

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence

    from environments.ssh.address import SshHost

__all__ = ["Channel", "Connection", "connect"]

_BUFFERED = 1 << 20
_STDERR = 4096
_HUNG_UP = (asyncssh.ConnectionLost, asyncssh.KeyExchangeFailed, ConnectionResetError, BrokenPipeError)
_PAUSES_S = (0.2, 0.6, None)
"""Between tries to log in to a host that hangs up before it says who it is."""
_KNOWN_HOSTS = ("~/.ssh/known_hosts", "~/.ssh/known_hosts2", "/etc/ssh/ssh_known_hosts")


class Channel(asyncssh.SSHClientSession[bytes]):
    """A command on a host, as a wire to its standard input and output; or what listens at a port."""

    def __init__(self) -> None:
        self._channel: asyncssh.SSHClientChannel[bytes] | None = None
        self._incoming: list[bytes] = []
        self._size = 0
        self._came = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()
        self._ended = False
        self._fault: Exception | None = None
        self._complaint = b""

    async def send(self, data: bytes) -> None:
        """Hand bytes over; see `Wire.send`."""
        await self._writable.wait()
        if self._channel is None or self._ended or self._channel.is_closing():
            raise OSError(f"the SSH channel is closed: {self._fault or 'it was ended'}")
        self._channel.write(data)

    async def receive(self) -> bytes:
        """Return the next bytes; see `Wire.receive`."""
        while not self._incoming:
            if self._ended:
                if self._fault is not None:
                    raise OSError(f"the SSH connection is gone: {self._fault}")
                return b""
            self._came.clear()
            await self._came.wait()
        data = b"".join(self._incoming)
        self._incoming.clear()
        if self._size > _BUFFERED and self._channel is not None:
            self._channel.resume_reading()
        self._size = 0
        return data

    def close(self) -> None:
        """Let the channel go."""
        if self._channel is not None:
            self._channel.abort()
        self._end(None)

    def connection_made(self, chan: asyncssh.SSHClientChannel[bytes]) -> None:
        """Take the channel."""
        self._channel = chan

    def data_received(self, data: bytes, datatype: asyncssh.DataType) -> None:
        """Keep what came until it is asked for, and let the far end wait where that is too much."""
        if datatype == asyncssh.EXTENDED_DATA_STDERR:
            self._complaint = (self._complaint + data)[-_STDERR:]
            return
        self._incoming.append(data)
        self._size += len(data)
        if self._size > _BUFFERED and self._channel is not None:
            self._channel.pause_reading()
        self._came.set()

    def exit_status_received(self, status: int) -> None:
        """Let a command that failed say why: it has nothing else to say any more."""
        if status and self._complaint:
            self._incoming.append(self._complaint)

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass the end on."""
        self._end(exc)

    def pause_writing(self) -> None:
        """Let `send` wait."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """Let `send` go on."""
        self._writable.set()

    def _end(self, fault: Exception | None) -> None:
        if not self._ended:
            self._ended, self._fault, self._channel = True, fault, None
        self._came.set()
        self._writable.set()


class _Client(asyncssh.SSHClient):
    """Refuses what is not known, and remembers what it was."""

    def __init__(self) -> None:
        self.shown: asyncssh.SSHKey | None = None
        self.lost = asyncio.Event()
        self.cause: Exception | None = None

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        """Note a key that is not among the known ones."""
        del host, addr, port
        self.shown = key
        return False

    def validate_host_ca_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        """Note an authority that is not among the known ones."""
        return self.validate_host_public_key(host, addr, port, key)

    def connection_lost(self, exc: Exception | None) -> None:
        """Note the end."""
        self.cause = exc
        self.lost.set()


class _Known:
    """The keys a host may show."""

    def __init__(self, host: SshHost, options: asyncssh.SSHClientConnectionOptions) -> None:
        self._port = options.port
        self.name = self._named(options.host_key_alias or options.host)
        self._own = [asyncssh.import_public_key(host.host_key)] if host.host_key else None
        self.keys: list[asyncssh.SSHKey] = []
        self.any_kind = False
        # asyncssh takes `UserKnownHostsFile none` for "any key will do", OpenSSH does not.
        given = cast("Sequence[str] | None", options.known_hosts) or _KNOWN_HOSTS
        files = [path for name in given if (path := Path(name).expanduser()).is_file()]
        self._file = asyncssh.read_known_hosts([str(path) for path in files])

    def __call__(self, host: str, addr: str, port: int | None) -> Sequence[Any]:
        """Return trusted, authorities' and revoked keys, as asyncssh asks for them."""
        del host, port
        if self._own is not None:
            self.keys = self._own
            return self._own, [], []
        found: list[list[asyncssh.SSHKey]] = [[], [], []]
        for name in {self.name, self._named(addr)} if addr else {self.name}:
            for keys, more in zip(found, self._file.match(name, "", None)[:3], strict=True):
                keys.extend(more)
        self.keys = [*found[0], *found[1]]
        return found

    def _named(self, host: str) -> str:
        """Name a host as a known-hosts file does."""
        return host if self._port == 22 else f"[{host}]:{self._port}"


class Connection:
    """One connection to a host. Commands share it, each with a channel of its own."""

    def __init__(
        self, ssh: asyncssh.SSHClientConnection, client: _Client, stack: AsyncExitStack, *, our_own: bool
    ) -> None:
        self._ssh = ssh
        self._our_own = our_own
        self._client = client
        self._stack = stack

    @property
    def lost(self) -> bool:
        """Whether it has come to its end."""
        return self._client.lost.is_set()

    @property
    def user(self) -> str:
        """Whom the host let in."""
        return str(self._ssh.get_extra_info("username"))

    @property
    def own_address(self) -> str:
        """This end's address; empty where the connection is not one of the network."""
        name = self._ssh.get_extra_info("sockname")
        return str(name[0]) if isinstance(name, tuple) and name else ""

    async def wire(self, command: str) -> Channel:
        """Start a shell command and return the wire to it.

        Raises:
            OSError: the connection is gone, or the host starts no command.
        """
        try:
            _, session = await self._ssh.create_session(
                Channel, command, encoding=None, request_pty=False, env={}, send_env=[], x11_forwarding=False
            )
        except asyncssh.Error as error:
            raise OSError(f"the SSH connection gives no channel: {error}") from error
        return cast("Channel", session)

    async def dial(self, port: int) -> Channel:
        """Connect to the host's own 127.0.0.1:`port` and return the wire to what listens there.

        Raises:
            PermissionError: the host does not do that, or is not said to be one of the study's own.
            OSError: nothing listens there, or the connection is gone.
        """
        if not self._our_own:
            raise PermissionError("no port is dialled on a host that may be an agent's")
        made = cast("Callable[[], asyncssh.SSHTCPSession[bytes]]", Channel)  # it is told the same things
        try:
            _, session = await self._ssh.create_connection(made, "127.0.0.1", port, encoding=None)
        except asyncssh.Error as error:
            kind = PermissionError if error.code == asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED else OSError
            raise kind(f"port {port} of the host cannot be had: {error.reason}") from error
        return cast("Channel", session)

    async def listen(
        self, port: int, heard: Callable[[int], Callable[[Any, Any], Awaitable[None]]]
    ) -> asyncssh.SSHListener:
        """Have the host pass connections to its 127.0.0.1:`port` on to us.

        Args:
            port: on the host; 0 for one that it chooses.
            heard: given the far end's port, returns what talks to it.

        Raises:
            OSError: the host does not do it, or something has the port.
        """
        try:
            return await self._ssh.start_server(
                lambda _, origin: heard(origin), "127.0.0.1", port, encoding=None
            )
        except (asyncssh.Error, asyncssh.ChannelListenError) as error:
            raise OSError(f"the host passes no connections on: {error}") from error

    async def aclose(self) -> None:
        """Close it; what its channels were doing is cut off."""
        await self._stack.aclose()

    @classmethod
    async def open(cls, host: SshHost) -> Connection:
        """Log in.

        Raises:
            Unavailable: the host does not let us in; the message says why.
        """
        async with AsyncExitStack() as stack:
            try:
                async with asyncio.timeout(host.connect_s):
                    ssh, client = await _log_in(host, stack)
            except TimeoutError:
                raise too_late(host) from None
            return cls(ssh, client, stack.pop_all(), our_own=host.our_own)


@asynccontextmanager
async def connect(host: SshHost) -> AsyncGenerator[Connection, None]:
    """Log in, and out at the end.

    Raises:
        Unavailable: the host does not let us in; the message says why.
    """
    connection = await Connection.open(host)
    try:
        yield connection
    finally:
        await connection.aclose()


async def _log_in(host: SshHost, stack: AsyncExitStack) -> tuple[asyncssh.SSHClientConnection, _Client]:
    options = await _options(host)
    known = await asyncio.to_thread(_known, host, options)
    for pause_s in _PAUSES_S:
        way = await _way(host, options, stack)
        client = _Client()
        try:
            async with turn(host):
                ssh = await _shake_hands(host, known, client, way)
        except _HUNG_UP as error:
            if client.shown is not None or pause_s is None:
                raise _explained(host, known, client, error) from error
            # A busy sshd drops some. Or it has none of the kinds of key it should have: then see what it
            # has, which is refused in any case.
            known.any_kind = True
            await asyncio.sleep(pause_s * random.uniform(0.5, 1))  # noqa: S311  no secret
        except (asyncssh.Error, OSError, ValueError) as error:
            raise _explained(host, known, client, error) from error
        else:
            stack.push_async_callback(_end, ssh)
            return ssh, client
    raise AssertionError("the last try either works or raises")


async def _shake_hands(
    host: SshHost, known: _Known, client: _Client, way: dict[str, Any]
) -> asyncssh.SSHClientConnection:
    return await asyncssh.connect(
        host.address,
        **settings(host),
        **way,
        known_hosts=known,
        server_host_key_algs="default" if known.any_kind else (),
        client_factory=cast("Callable[[], asyncssh.SSHClient]", lambda: client),
    )


def _explained(host: SshHost, known: _Known, client: _Client, error: Exception) -> Unavailable:
    """Return the fault behind what asyncssh raised."""
    match error:
        case asyncssh.HostKeyNotVerifiable() if client.shown is not None:
            return key_refused(host, known.name, shown=client.shown, known=known.keys)
        case asyncssh.PermissionDenied():
            return credentials_refused(host, user=host.user or "the user", tried=tried_keys(host))
        case asyncssh.ChannelOpenError():
            return Unavailable(
                f"{host.place}: the jump host does not get there: {error.reason}",
                mend="check from the jump host that it is up and its port is right",
            )
        case asyncssh.Error() | ConnectionResetError() | BrokenPipeError():
            return closed_early(host, getattr(error, "reason", None) or str(error))
        case OSError():
            return nothing_there(host, error)
        case _:
            return Unavailable(
                f"{host.place}: {error}", mend="mend ~/.ssh/config or the key file it is about"
            )


async def _options(host: SshHost) -> asyncssh.SSHClientConnectionOptions:
    """Return what ~/.ssh/config makes of a host."""
    try:
        options = await asyncssh.SSHClientConnectionOptions.construct(
            host=host.address, **(settings(host) | {"client_keys": None})
        )
    except (OSError, ValueError, asyncssh.Error) as error:
        raise Unavailable(f"{host.place}: {error}", mend=f"mend {host.config}") from error
    return cast("asyncssh.SSHClientConnectionOptions", options)


def _known(host: SshHost, options: asyncssh.SSHClientConnectionOptions) -> _Known:
    try:
        return _Known(host, options)
    except asyncssh.KeyImportError as error:
        mend = 'write it as "ssh-ed25519 AAAA..."'
        raise Unavailable(f"{host.place}: host_key is no public key: {error}", mend=mend) from error
    except (OSError, ValueError) as error:
        raise Unavailable(f"{host.place}: known_hosts: {error}", mend="mend that line of it") from error


async def _way(
    host: SshHost, options: asyncssh.SSHClientConnectionOptions, stack: AsyncExitStack
) -> dict[str, Any]:
    """Find the way to a host: a socket, another host, a program, or none but the network."""
    if host.dial is not None:
        try:
            return {"sock": await host.dial(), "tunnel": None, "proxy_command": None}
        except OSError as error:
            raise nothing_there(host, error) from error
    jump, command = host.jump, host.proxy_command
    if jump is None and command is None:
        if isinstance(options.tunnel, str):
            jump = jump_over(options.tunnel, config=host.config)
        elif options.proxy_command:
            command = shlex.join(options.proxy_command)
    if jump is not None:
        before = await Connection.open(jump)
        stack.push_async_callback(before.aclose)
        return {"tunnel": before._ssh, "proxy_command": None}  # noqa: SLF001  the same class, one file
    if command is not None:
        return {"sock": proxied(command, stack), "tunnel": None, "proxy_command": None}
    return {"tunnel": None, "proxy_command": None}


async def _end(ssh: asyncssh.SSHClientConnection) -> None:
    """Say goodbye, but not to a host that does not listen."""
    ssh.close()
    try:
        with suppress(TimeoutError):
            async with asyncio.timeout(1):
                await ssh.wait_closed()
    finally:
        ssh.abort()
