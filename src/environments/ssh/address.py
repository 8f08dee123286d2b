"""Which hosts there are and how to log in to them: an address, a hosts file, or objects made by hand.

    ssh://agent@lab-3:2222?control_identity=~/.ssh/root_of_lab

A hosts file is TOML, one table a host, with the same keys:

    [lab-3]
    address = "10.0.0.3"            # the table's name if left out
    user = "agent"
    identity = "~/.ssh/agent"       # or a list; else the SSH agent's keys and the usual files
    host_key = "ssh-ed25519 AAAA"   # else ~/.ssh/known_hosts decides
    control_identity = "~/.ssh/root_of_lab"
    jump = "bastion"                # another table, or user@host:port as for `ssh -J`
"""

from __future__ import annotations

import difflib
import tomllib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

from environments.errors import Unavailable

if TYPE_CHECKING:
    import socket
    from collections.abc import Awaitable, Callable, Mapping

__all__ = ["SshHost", "SshMachine", "jump_over", "machine_at", "machines_in"]

_CONFIG = Path("~/.ssh/config")
_KEYS: Mapping[str, tuple[type, ...]] = {
    "address": (str,),
    "port": (int,),
    "user": (str,),
    "identity": (str, list),
    "host_key": (str,),
    "control_user": (str,),
    "control_identity": (str, list),
    "jump": (str,),
    "proxy_command": (str,),
}


@dataclass(frozen=True, kw_only=True)
class SshHost:
    """One login: where, as whom, with which key, and how the host proves to be itself."""

    address: str
    """Name or address, or a `Host` of ~/.ssh/config."""
    port: int | None = None
    """None: as ~/.ssh/config says, else 22."""
    user: str = ""
    """Empty: as ~/.ssh/config says, else the user who runs redline."""
    identities: tuple[Path, ...] = ()
    """Private keys to try, and no others. Empty: the SSH agent's, and the usual files."""
    host_key: str | None = None
    """The host's public key as OpenSSH writes it. None: the known-hosts files decide."""
    jump: SshHost | None = None
    """The host to go through. None: as ~/.ssh/config says."""
    proxy_command: str | None = None
    """Shell command whose standard input and output lead to the host. None: as ~/.ssh/config says."""
    dial: Callable[[], Awaitable[socket.socket]] | None = None
    """Another way to a connected socket. `jump` and `proxy_command` do not count then."""
    config: Path | None = _CONFIG
    """OpenSSH client configuration; a file that does not exist counts as empty, None as none."""
    connect_s: float = 20.0
    """Seconds within which the host has to have let us in."""
    keepalive_s: float = 5.0
    """Seconds of silence after which the host is asked for a sign of life; after four it counts as gone."""
    patience_s: float = 30.0
    """Seconds for which a lost link is tried anew before it counts as lost for good."""
    our_own: bool = False
    """Whether programs of the study's own run there, and no agent acts on it. Only then are ports dialled."""

    @property
    def place(self) -> str:
        """Address and port, for messages."""
        address = f"[{self.address}]" if ":" in self.address else self.address
        return f"{address}:{self.port or 22}"


@dataclass(frozen=True, kw_only=True)
class SshMachine:
    """A host as a machine: the agent's login, and the control handle's."""

    name: str
    agent: SshHost
    control: SshHost | None = None
    """None: preparation and judging log in as the agent does, and the certificate says so."""


def machine_at(url: str) -> SshMachine:
    """Read an address such as `ssh://user@host:port`, with a hosts file's other keys as its query.

    Raises:
        Unavailable: it is not such an address.
    """
    mend = "write ssh://user@host:port"
    try:
        parts = urlsplit(url)
        port = parts.port
        query = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError as error:
        raise Unavailable(f"{url}: {error}", mend=mend) from error
    if parts.scheme != "ssh" or not parts.hostname or parts.path.strip("/") or parts.password is not None:
        raise _no_address(url, parts.password)
    table: dict[str, Any] = {"address": unquote(parts.hostname)}
    if parts.username:
        table["user"] = unquote(parts.username)
    if port is not None:
        table["port"] = port
    for key, value in query:
        if key in {"address", "user", "port"}:
            raise Unavailable(f"{url}: {key} stands in the query", mend=mend)
        table[key] = value
    return _machine(table["address"], table, place=url, others={})


def machines_in(path: Path) -> tuple[SshMachine, ...]:
    """Read a hosts file.

    Raises:
        Unavailable: it is missing or wrong; the message names file, table and key.
    """
    try:
        tables = tomllib.loads(path.expanduser().read_text())
    except OSError as error:
        raise Unavailable(
            f"hosts file {path}: {error.strerror}", mend="name a file that can be read"
        ) from error
    except ValueError as error:  # TOML or UTF-8; both say where
        raise Unavailable(f"hosts file {path}: {error}", mend="mend its TOML") from error
    for name, table in tables.items():
        if not isinstance(table, dict):
            raise Unavailable(
                f"hosts file {path}: {name} stands outside any table", mend="put it below [HOST]"
            )
    if not tables:
        raise Unavailable(f"hosts file {path} names no host", mend="add a table [HOST] with its user")
    return tuple(
        _machine(name, table, place=f"hosts file {path}, [{name}]", others=tables)
        for name, table in tables.items()
    )


def jump_over(route: str, *, config: Path | None = _CONFIG) -> SshHost:
    """Read hosts to go through as `ssh -J` does: `user@host:port`, several with commas, nearest first.

    Raises:
        ValueError: one of them is not such a host.
    """
    before: SshHost | None = None
    for hop in route.split(","):
        parts = urlsplit(hop.strip() if "://" in hop else f"ssh://{hop.strip()}")
        if not parts.hostname or parts.path or parts.query or parts.password:
            raise ValueError(f"{hop.strip()!r} is not user@host:port")
        before = SshHost(
            address=unquote(parts.hostname),
            port=parts.port,
            user=unquote(parts.username or ""),
            jump=before,
            config=config,
        )
    assert before is not None
    return before


def _no_address(url: str, password: str | None) -> Unavailable:
    if password is not None:
        shown = url.replace(f":{password}@", ":***@")
        return Unavailable(f"{shown} holds a password", mend="log in with a key: `ssh-copy-id user@host`")
    return Unavailable(f"{url} is not the address of an SSH host", mend="write ssh://user@host:port")


@dataclass(frozen=True, kw_only=True)
class _Table:
    """One host's keys, checked as they are taken."""

    place: str
    values: Mapping[str, Any]
    others: Mapping[str, Any]
    within: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        for key, value in self.values.items():
            if key not in _KEYS:
                near = difflib.get_close_matches(key, _KEYS, n=1)
                mend = f"did you mean {near[0]}?" if near else f"known are {', '.join(_KEYS)}"
                raise Unavailable(f"{self.place}: unknown key {key}", mend=mend)
            kinds = _KEYS[key]
            if not isinstance(value, kinds) or isinstance(value, bool):
                raise self.wrong(key, f"is not {'a whole number' if int in kinds else 'text'}")
        if not 0 < self.values.get("port", 22) < 1 << 16:
            raise self.wrong("port", "is not between 1 and 65535")

    def wrong(self, key: str, what: str) -> Unavailable:
        return Unavailable(f"{self.place}: {key} {what}", mend=f"it is {self.values[key]!r}")

    def text(self, key: str) -> str | None:
        value: str | None = self.values.get(key)
        return value

    def files(self, key: str) -> tuple[Path, ...]:
        given = self.values.get(key, [])
        names = [given] if isinstance(given, str) else given
        if not all(isinstance(name, str) for name in names):
            raise self.wrong(key, "is not a list of files")
        for name in names:
            if not (path := Path(name).expanduser()).is_file():
                raise Unavailable(f"{self.place}: {key} {path} is not a file", mend="name a private key")
        return tuple(Path(name).expanduser() for name in names)

    def host_key(self) -> str | None:
        line = self.text("host_key")
        if line is not None and len(line.split()) < 2:
            raise Unavailable(
                f"{self.place}: host_key is no public key", mend='write it as "ssh-ed25519 AAAA..."'
            )
        return line

    def jump(self) -> SshHost | None:
        """Return the host to go through: another table's, or what `ssh -J` would take."""
        route = self.text("jump")
        if route is None:
            return None
        if route in self.within:
            raise self.wrong("jump", "leads back to where it came from")
        if route in self.others:
            place = f"{self.place} jump = {route!r}"
            other = _Table(
                place=place, values=self.others[route], others=self.others, within=(*self.within, route)
            )
            return other.host(route)
        try:
            return jump_over(route)
        except ValueError as error:
            raise Unavailable(
                f"{self.place}: jump: {error}", mend="name a table, or user@host:port"
            ) from error

    def host(self, name: str) -> SshHost:
        return SshHost(
            address=self.text("address") or name,
            port=self.values.get("port"),
            user=self.text("user") or "",
            identities=self.files("identity"),
            host_key=self.host_key(),
            jump=self.jump(),
            proxy_command=self.text("proxy_command"),
        )


def _machine(name: str, values: Mapping[str, Any], *, place: str, others: Mapping[str, Any]) -> SshMachine:
    table = _Table(place=place, values=values, others=others, within=(name,) if name in others else ())
    agent = table.host(name)
    identities = table.files("control_identity")
    user = table.text("control_user")
    if user is None and not identities:
        return SshMachine(name=name, agent=agent)
    control = replace(agent, user=user or "root", identities=identities or agent.identities)
    return SshMachine(name=name, agent=agent, control=control)
