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

_libc = ctypes.CDLL(None)


@contextmanager
def acting_as(owner: tuple[int, int]) -> Iterator[None]:
    """File system calls of this thread count as `owner`'s (uid, gid). Nothing may be awaited inside."""
    if os.geteuid() != 0:
        yield
        return
    uid, gid = owner
    _libc.setfsgid(gid)
    _libc.setfsuid(uid)
    try:
        yield
    finally:
        _libc.setfsuid(0)
        _libc.setfsgid(0)
