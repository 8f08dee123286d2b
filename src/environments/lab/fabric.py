"""What joins the hosts of a lab: one user, pid and network namespace with a bridge in it, and nothing else.

The network namespace has no interface, address or route towards the real host. A connection into it is made
by a process that enters it from outside, and handed over as an open socket.
"""

from __future__ import annotations

import asyncio
import os
import signal
import weakref
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from environments.lab.archive import script
from environments.lab.dialogue import Dialogue, child_of, namespace_pids
from environments.lab.ids import SHARE
from environments.sandbox.sockets import Dialer

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterable, Sequence

    from environments.lab.ids import LabIds
    from environments.warden import Held

__all__ = ["ADDRESS", "Fabric"]

ADDRESS = "10.77.0.254"
"""The bridge's own, from which redline calls the hosts."""
_KEYS = Path("tmp")
_PATIENCE_S = 10.0


class Fabric:
    """The part of a lab that all its hosts share.

    Args:
        ids: the lab's.
        keys: names of the key pairs to make.
    """

    def __init__(self, ids: LabIds, *, keys: Sequence[str]) -> None:
        self._ids = ids
        self._keys = keys
        self._talk: Dialogue | None = None
        self._dialer: Dialer | None = None
        self._sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        self.init = 0
        """Its process 1, as the host numbers it."""

    async def open(self, held: Held) -> None:
        """Make the namespaces, the bridge and the keys.

        Args:
            held: the lab, as the warden holds it.

        Raises:
            Unavailable, Broken, OSError: the host does not let us.
        """
        uid, gid = self._ids.own
        drop = ("setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups")
        self._talk = Dialogue([
            *(drop if os.geteuid() == 0 else ()),
            *("unshare", "--user", "--mount", "--net", "--ipc", "--uts", "--pid", "--fork", "--kill-child"),
            # The first shell has no ids yet, and so no power; the second is root here.
            *("bash", "-c", 'echo here; read -r _ && exec bash -c "$@"', "lab"),
            *(script("fabric.bash"), "lab", ADDRESS, str(SHARE), *self._keys),
        ])  # fmt: skip
        held.process(self._talk.child.pid)
        await self._talk.expect("here")
        self.init = child_of(self._talk.child.pid, inside=1)
        held.process(self.init, namespaces=True)
        await self._ids.give(self.init)
        self._talk.say("go\n")
        await self._talk.expect("ready")
        self._dialer = Dialer(
            user_namespace=f"/proc/{self.init}/ns/user",
            network_namespace=f"/proc/{self.init}/ns/net",
            started=held.process,
        )

    @property
    def dialer(self) -> Dialer:
        """Makes sockets in the fabric's network."""
        assert self._dialer is not None
        return self._dialer

    def key(self, name: str) -> Path:
        """Return where the private key of that name can be read while the lab is open.

        It lies in the fabric's memory, and goes with it however it ends.
        """
        return Path(f"/proc/{self.init}/root") / _KEYS / name

    def public_key(self, name: str) -> str:
        """Return the public half."""
        return self.key(f"{name}.pub").read_text().strip()

    async def wire(self, hosts: Iterable[tuple[str, int, int]]) -> None:
        """Give hosts their ids and their cables.

        Args:
            hosts: for each its port on the bridge, a process in its namespaces as our pid, its first id.
        """
        orders = [f"{namespace_pids(pid)[1]} {port} {first}\n" for port, pid, first in hosts]
        await self._order("wire\n" + "".join(orders) + ".")

    async def cut(self, port: str) -> None:
        """Drop what passes a port, in both directions."""
        await self._order(f"cut {port}")

    async def mend(self, port: str) -> None:
        """Let it pass again."""
        await self._order(f"mend {port}")

    async def _order(self, text: str) -> None:
        assert self._talk is not None
        await self._talk.order(text)

    async def connect(self, address: str, port: int) -> socket.socket:
        """Return a TCP socket connected to one of the hosts.

        Raises:
            OSError: nothing accepts the connection there, or not in time.
            Broken: the lab is gone.
        """
        assert self._dialer is not None
        connection = await self._dialer.connect(address, port)
        self._sockets.add(connection)
        return connection

    async def end(self) -> int:
        """End every process of the lab, its hosts' included; return how many connections are still open."""
        if self._dialer is not None:
            self._dialer.close()
        if self._talk is not None:
            with suppress(ProcessLookupError, TimeoutError):
                if self.init:
                    # The kernel ends a pid namespace, and those in it, with its process 1.
                    os.kill(self.init, signal.SIGKILL)
                    # Its parent reaps it after that; killed at once, it would leave that to the host.
                    async with asyncio.timeout(_PATIENCE_S):
                        await self._talk.child.wait()
            self._talk.close()
        for _ in range(100):
            if not (left := sum(known.fileno() >= 0 for known in self._sockets)):
                break
            await asyncio.sleep(0.01)
        return left
