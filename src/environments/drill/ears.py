"""Listeners of the drill: on the host's own addresses, and on sockets that need no network."""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

__all__ = ["Ears", "listening"]

_GROUP = "239.77.82.1"
_ANYONE_CID = 0xFFFFFFFF


@dataclass(eq=False)
class Ears:
    """What is listened to, and what was heard."""

    facts: dict[str, str] = field(default_factory=dict)
    """Name -> "ADDRESS PORT", empty where the host has no such address."""
    heard: list[tuple[str, bytes]] = field(default_factory=list)
    """Where, and what; nothing said is a connection."""
    callers: list[asyncio.Transport] = field(default_factory=list)


class _Stream(asyncio.Protocol):
    def __init__(self, ears: Ears, where: str) -> None:
        self._ears, self._where = ears, where

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._ears.heard.append((self._where, b""))
        self._ears.callers.append(cast("asyncio.Transport", transport))

    def data_received(self, data: bytes) -> None:
        self._ears.heard.append((self._where, data[:4096]))


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, ears: Ears, where: str) -> None:
        self._ears, self._where = ears, where

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        del addr
        self._ears.heard.append((self._where, data[:4096]))


@asynccontextmanager
async def listening(folder: Path, name: str) -> AsyncGenerator[Ears, None]:
    """Listen everywhere a machine might reach, on ports that the kernel chooses.

    Args:
        folder: of the drill, for the socket that has a path.
        name: of the abstract socket.
    """
    ears = Ears()
    async with AsyncExitStack() as stack:
        for place, address in _addresses().items():
            await _open(ears, stack, place, address)
        await _local(ears, stack, folder, name)
        await _more(ears, stack)
        try:
            yield ears
        finally:
            for caller in ears.callers:
                caller.abort()


def _addresses() -> dict[str, str]:
    """Return this host's addresses by kind; those that it does not have are empty."""
    found = {
        "LOOPBACK4": "127.0.0.1",
        "LOOPBACK6": "::1",
        "HOST4": _own("192.0.2.1"),
        "HOST6": "",
        "LOCAL6": "",
    }
    with suppress(OSError):
        for line in Path("/proc/net/if_inet6").read_text().splitlines():
            digits, *_, scope, _flags, interface = line.split()
            address = socket.inet_ntop(socket.AF_INET6, bytes.fromhex(digits))
            if scope == "00":
                found["HOST6"] = address
            elif scope == "20":
                found["LOCAL6"] = f"{address}%{interface}"
    return found


def _own(towards: str) -> str:
    """Return the address that packets to `towards` would carry. None is sent."""
    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as looking:
        looking.connect((towards, 9))
        return str(looking.getsockname()[0])
    return ""


async def _open(ears: Ears, stack: AsyncExitStack, place: str, address: str) -> None:
    loop = asyncio.get_running_loop()
    ears.facts |= {f"TCP_{place}": "", f"UDP_{place}": ""}
    with suppress(OSError):
        if address:
            server = await loop.create_server(partial(_Stream, ears, f"TCP {address}"), address, 0)
            stack.callback(server.close)
            ears.facts[f"TCP_{place}"] = f"{address} {server.sockets[0].getsockname()[1]}"
            ears.facts[f"UDP_{place}"] = await _datagrams(ears, stack, f"UDP {address}", address)


async def _datagrams(ears: Ears, stack: AsyncExitStack, where: str, address: str) -> str:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(partial(_Datagrams, ears, where), (address, 0))
    stack.callback(transport.close)
    return f"{address} {transport.get_extra_info('sockname')[1]}"


async def _local(ears: Ears, stack: AsyncExitStack, folder: Path, name: str) -> None:
    loop = asyncio.get_running_loop()
    door = folder / "door"
    for where, address in (("an abstract socket", f"\0{name}"), ("a socket by its path", str(door))):
        server = await loop.create_unix_server(partial(_Stream, ears, where), address)
        stack.callback(server.close)
    door.chmod(0o666)
    ears.facts |= {"ABSTRACT": name, "DOOR": str(door)}


async def _more(ears: Ears, stack: AsyncExitStack) -> None:
    """Listen as a name server, in a multicast group, and for virtual machines."""
    ears.facts |= {
        "DNS": await _datagrams(ears, stack, "a name server", "127.0.0.1"),
        "VSOCK": "",
        "MULTICAST": "",
    }
    loop = asyncio.get_running_loop()
    with suppress(OSError):
        joined = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        joined.bind((_GROUP, 0))
        member = struct.pack("4s4s", socket.inet_aton(_GROUP), socket.inet_aton("127.0.0.1"))
        joined.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
        transport, _ = await loop.create_datagram_endpoint(
            partial(_Datagrams, ears, "a multicast group"), sock=joined
        )
        stack.callback(transport.close)
        ears.facts["MULTICAST"] = f"{_GROUP} {joined.getsockname()[1]}"
    with suppress(OSError):
        ear = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
        stack.callback(ear.close)
        ear.bind((_ANYONE_CID, 0xFFFFFFFF))
        ear.setblocking(False)
        server = await loop.create_server(partial(_Stream, ears, "a vsock"), sock=ear)
        stack.callback(server.close)
        ears.facts["VSOCK"] = str(ear.getsockname()[1])
