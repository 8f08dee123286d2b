"""What is said to asyncssh about a host, and what is not left to it."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from environments.processes import Child

if TYPE_CHECKING:
    from contextlib import AsyncExitStack

    from environments.ssh.address import SshHost

__all__ = ["proxied", "settings", "tried_keys", "turn"]

_AT_ONCE = 8
_PASSED_ON = ("HOME", "USER", "LOGNAME", "SSH_AUTH_SOCK")
_logins: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, asyncio.Semaphore]] = WeakKeyDictionary()


def turn(host: SshHost) -> asyncio.Semaphore:
    """Return what to hold while logging in: with more than ten logins under way, sshd drops some."""
    turns = _logins.setdefault(asyncio.get_running_loop(), {})
    return turns.setdefault(host.place, asyncio.Semaphore(_AT_ONCE))


def settings(host: SshHost) -> dict[str, Any]:
    """Return asyncssh's options for a host, but for the way to it and its key.

    Whatever ~/.ssh/config says, nothing is forwarded: that would be a way back to the runner.
    """
    config = host.config.expanduser() if host.config is not None else None
    said: dict[str, Any] = {
        "config": [config] if config is not None and config.is_file() else None,
        "agent_forwarding": False,
        "x11_forwarding": False,
        "gss_delegate_creds": False,
        "compression_algs": "none",
        "login_timeout": host.connect_s,
        "keepalive_interval": host.keepalive_s,
        "keepalive_count_max": 3,
    }
    if host.port is not None:
        said["port"] = host.port
    if host.user:
        said["username"] = host.user
    if host.identities:
        # A key that is locked here may be open in the SSH agent, of which no other key is offered.
        said |= {"client_keys": [str(path) for path in host.identities], "ignore_encrypted": True}
        public = [str(path) for one in host.identities if (path := Path(f"{one}.pub")).is_file()]
        said |= {"agent_identities": public} if public else {"agent_path": None}
    return said


def tried_keys(host: SshHost) -> str:
    """Name the keys that a host was shown, for messages."""
    if host.identities:
        return " and ".join(str(path) for path in host.identities)
    agent = "the keys of the SSH agent and " if os.environ.get("SSH_AUTH_SOCK") else ""
    return f"{agent}the usual key files"


def proxied(command: str, stack: AsyncExitStack) -> socket.socket:
    """Start a proxy command, which ends with the stack, and return our end of it."""
    ours, its = socket.socketpair()
    with its:
        environment = (f"{name}={os.environ[name]}" for name in _PASSED_ON if name in os.environ)
        argv = ["env", *environment, "sh", "-c", f"exec {command}"]
        try:
            child = Child(argv, stdin=its.fileno(), stdout=its.fileno())
        except BaseException:
            ours.close()
            raise
    stack.callback(child.close)
    ours.setblocking(False)
    return ours
