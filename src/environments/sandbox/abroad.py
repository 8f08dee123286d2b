"""Makes sockets in another network namespace without a process there. Only root can.

A thread of our own enters the namespace, makes the socket and comes back: some microseconds, where a helper
takes as long as an interpreter to start. It does nothing else, and if it ever could not come back, it is left
where it is and another one taken.
"""

from __future__ import annotations

import ctypes
import os
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["socket_in"]

_NETWORK = 0x40000000
"""CLONE_NEWNET, as setns(2) has it."""
_libc = ctypes.CDLL(None, use_errno=True)
_travellers: list[ThreadPoolExecutor] = []


class _Stranded(OSError):
    """The thread could not come back."""


def socket_in(network: str, *kind: int) -> socket.socket:
    """Return a socket that belongs to a network namespace.

    Args:
        network: path of the namespace.
        kind: family, type and protocol.

    Raises:
        PermissionError: we may not enter it.
        OSError: it is gone.
    """
    if not _travellers:
        _travellers.append(ThreadPoolExecutor(max_workers=1, thread_name_prefix="abroad"))
    try:
        return _travellers[-1].submit(_made, network, kind).result()
    except _Stranded:
        _travellers.pop().shutdown(wait=False)
        raise


def _made(network: str, kind: tuple[int, ...]) -> socket.socket:
    with _opened("/proc/thread-self/ns/net") as home, _opened(network) as there:
        _enter(there)
        try:
            return socket.socket(*kind)
        finally:
            try:
                _enter(home)
            except OSError as fault:
                raise _Stranded(fault.errno, fault.strerror) from fault


@contextmanager
def _opened(path: str) -> Iterator[int]:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)


def _enter(namespace: int) -> None:
    if _libc.setns(namespace, _NETWORK) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
