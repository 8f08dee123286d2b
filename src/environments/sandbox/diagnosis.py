"""Asks the kernel which TCP sockets of a network namespace are listening, and which one has two ends.

The table in /proc/net/tcp costs milliseconds a look, whatever is in it: the kernel walks the connections of
the whole host to write it. NETLINK_SOCK_DIAG answers for the one state that is asked for. Layouts are
those of linux/netlink.h and linux/inet_diag.h.
"""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["FAMILIES", "KnownSocket", "parse", "request", "request_one"]

FAMILIES = (socket.AF_INET, socket.AF_INET6)

_SOCK_DIAG_BY_FAMILY = 20
_REQUEST, _REQUEST_DUMP = 0x1, 0x301
_DONE, _ERROR = 3, 2
_LISTEN, _ANY = 1 << 10, (1 << 32) - 1
_HEADER = struct.Struct("=IHHII")
_QUERY = struct.Struct("=BBBxI48x")
_ENDS = struct.Struct("!HH4s12x4s12x")
_NO_COOKIE = struct.pack("=III", 0, _ANY, _ANY)  # of any interface, and whichever cookie
_ANSWER = struct.Struct("=BBBBHH")
_SOURCE = struct.Struct("!HH16s16s")
_INODE_AT = 68


class KnownSocket(NamedTuple):
    """A TCP socket, by its own end."""

    address: str
    port: int
    inode: int


def request(family: int) -> bytes:
    """Return the message that asks for all listening TCP sockets of one address family."""
    query = _QUERY.pack(family, socket.IPPROTO_TCP, 0, _LISTEN)
    return _HEADER.pack(_HEADER.size + len(query), _SOCK_DIAG_BY_FAMILY, _REQUEST_DUMP, 1, 0) + query


def request_one(source: tuple[str, int], target: tuple[str, int]) -> bytes:
    """Return the message that asks for the one IPv4 socket with these two ends, `source` being its own."""
    start = struct.pack("=BBBxI", socket.AF_INET, socket.IPPROTO_TCP, 0, _ANY)
    addresses = [socket.inet_aton(address) for address, _ in (source, target)]
    ends = _ENDS.pack(source[1], target[1], *addresses)
    query = start + ends + _NO_COOKIE
    return _HEADER.pack(_HEADER.size + len(query), _SOCK_DIAG_BY_FAMILY, _REQUEST, 1, 0) + query


def parse(data: bytes) -> Iterator[KnownSocket | None]:
    """Yield the sockets of one datagram, and None where the answer ends.

    Raises:
        OSError: the kernel refused.
    """
    while len(data) >= _HEADER.size:
        length, kind, *_ = _HEADER.unpack_from(data)
        body, data = data[_HEADER.size : length], data[(length + 3) & ~3 :]
        if kind == _DONE:
            yield None
        elif kind == _ERROR:
            raise OSError(-struct.unpack_from("=i", body)[0], "the kernel does not tell who listens")
        else:
            family = body[0]
            port, _, source, _ = _SOURCE.unpack_from(body, 4)
            address = socket.inet_ntop(family, source if family == socket.AF_INET6 else source[:4])
            yield KnownSocket(address, port, struct.unpack_from("=I", body, _INODE_AT)[0])
