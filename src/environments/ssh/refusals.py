"""Why a host does not let us in, each with what to do about it, in one line."""

from __future__ import annotations

import errno
import re
import socket
from typing import TYPE_CHECKING, Any

from environments.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from environments.ssh.address import SshHost

__all__ = [
    "HostKeyRefused",
    "closed_early",
    "credentials_refused",
    "key_refused",
    "nothing_there",
    "too_late",
]

_CODE = re.compile(r"\[Errno (\d+)\]")
_MENDS = {
    errno.ECONNREFUSED: ("nothing listens there", "start sshd on the host, or mend the port"),
    errno.EHOSTUNREACH: ("there is no route to it", "check that the host is up and the network leads to it"),
    errno.ENETUNREACH: ("there is no route to it", "check that the network leads to it"),
    errno.ETIMEDOUT: ("it does not answer", "check that the host is up and no firewall is in between"),
}


class HostKeyRefused(Unavailable):
    """The host did not prove to be itself. Trying again will not help."""


def key_refused(host: SshHost, name: str, *, shown: Any, known: Sequence[Any]) -> HostKeyRefused:
    """Return the fault for a host that nobody vouched for, or that shows another key than it should.

    Args:
        host: where it was met.
        name: the host as a known-hosts file names it.
        shown: the key that it showed.
        known: those that it should have.
    """
    if known:
        listed = ", ".join(sorted({_described(one) for one in known}))
        return _changed(host, name, shown=_described(shown), known=listed)
    line = " ".join(shown.export_public_key().decode().split()[:2])
    file = shown.get_algorithm().removeprefix("ssh-").split("-")[0]
    return HostKeyRefused(
        f"{host.place}: the host key is not known, it is {_described(shown)}",
        mend=f"compare it with `ssh-keygen -lf /etc/ssh/ssh_host_{file}_key.pub` on the host; if it is "
        f"the same, add `{name} {line}` to ~/.ssh/known_hosts, or host_key = {line!r} to the hosts file",
    )


def _changed(host: SshHost, name: str, *, shown: str, known: str) -> HostKeyRefused:
    where = "host_key" if host.host_key else "known_hosts"
    mend = "mend host_key" if host.host_key else f"run `ssh-keygen -R '{name}'`"
    return HostKeyRefused(
        f"{host.place}: THE HOST KEY HAS CHANGED: {where} has {known}, the host shows {shown}",
        mend=f"somebody may be in between; ask who runs the host, and only if it was installed anew {mend}",
    )


def _described(key: Any) -> str:
    return f"{key.get_algorithm()} {key.get_fingerprint()}"


def credentials_refused(host: SshHost, *, user: str, tried: str) -> Unavailable:
    """Return the fault for a host that does not take our keys."""
    return Unavailable(
        f"{host.place}: the host refuses {user} with {tried}",
        mend=f"add the public key to authorized_keys of {user} there, or name another user or identity",
    )


def nothing_there(host: SshHost, error: OSError) -> Unavailable:
    """Return the fault for an address at which no connection could be made."""
    if isinstance(error, socket.gaierror):
        return Unavailable(f"{host.place}: the name {host.address} is not known", mend="mend the address")
    found = _CODE.findall(str(error))
    code = error.errno or (int(found[-1]) if found else 0)
    reason, mend = _MENDS.get(code, (error.strerror or str(error), "check address, port and network"))
    return Unavailable(f"{host.place}: {reason}", mend=mend)


def too_late(host: SshHost) -> Unavailable:
    """Return the fault for a host that did not let us in in time."""
    return Unavailable(
        f"{host.place}: no SSH server answered within {host.connect_s:g} s",
        mend="check that the host is up, the port is that of sshd and no firewall is in between",
    )


def closed_early(host: SshHost, said: str) -> Unavailable:
    """Return the fault for a connection that was made and came to nothing."""
    return Unavailable(
        f"{host.place}: the connection was closed before the login: {said}",
        mend="check that the port is that of sshd; sshd's own log says more",
    )
