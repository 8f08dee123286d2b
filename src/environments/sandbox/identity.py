"""Touching a machine's files as the machine's user, also where the host side runs as root.

The kernel refuses files of an unmapped owner in a machine's file systems, and root's override of permissions
would show the judge another machine than an ordinary user sees.
"""

from __future__ import annotations

import ctypes
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["FIRST_UID", "UIDS", "acting_as"]

# Machines opened by root run as host users that own nothing. The range lies above those that
# distributions and container engines hand out.
FIRST_UID, UIDS = 1_900_000_000, 100_000_000

# Changing the user of file system calls takes root's powers over files along but for this (capabilities(7)).
_GET_SECUREBITS, _SET_SECUREBITS, _NO_SETUID_FIXUP = 27, 28, 1 << 2
_libc = ctypes.CDLL(None)


@contextmanager
def acting_as(owner: tuple[int, int], *, unhindered: bool = False) -> Iterator[None]:
    """File system calls of this thread count as `owner`'s (uid, gid). Nothing may be awaited inside.

    Args:
        owner: in whose name.
        unhindered: keep root's override of permissions. Only for calls that cannot touch what is no file of
            the machine's, whatever links the agent has planted.
    """
    if os.geteuid() != 0:
        yield
        return
    uid, gid = owner
    before = _libc.prctl(_GET_SECUREBITS)
    if unhindered:
        _libc.prctl(_SET_SECUREBITS, before | _NO_SETUID_FIXUP)
    _libc.setfsgid(gid)
    _libc.setfsuid(uid)
    try:
        yield
    finally:
        _libc.setfsuid(0)
        _libc.setfsgid(0)
        if unhindered:
            _libc.prctl(_SET_SECUREBITS, before)
