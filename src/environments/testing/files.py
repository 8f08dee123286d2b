"""Checks of what the agent's handle does with files."""

from __future__ import annotations

import asyncio
import errno
import os
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from uuid import uuid4

from environments.testing.commands import sh

if TYPE_CHECKING:
    from environments.types import Lease

__all__ = ["FILES"]


async def files_keep_their_bytes(lease: Lease) -> None:
    """What is written is read back: empty, binary, megabytes; parents are made."""
    for name, data in (
        ("empty", b""),
        ("deep/er/still", bytes(range(256))),
        ("large", os.urandom(1 << 20) * 3),
        ("-dash and\nnewline é", b"named oddly"),
    ):
        path = lease.agent.home / "files" / name
        await lease.agent.write(path, data)
        assert await lease.agent.read(path) == data, f"{name!r} came back changed"
    await lease.agent.write(lease.agent.home / "files/large", b"short")
    assert await lease.agent.read(lease.agent.home / "files/large") == b"short"
    assert (await sh(lease.agent, "cat files/large")).stdout == b"short"
    await sh(lease.agent, "rm -r files")


async def file_errors_are_pythons_own(lease: Lease) -> None:
    """Missing, forbidden, a directory: the exceptions that `open` would raise."""
    await sh(lease.agent, "mkdir -p place; echo secret >locked; chmod 000 locked")
    for path, expected in (
        (lease.agent.home / "missing", FileNotFoundError),
        (lease.agent.home / "place", IsADirectoryError),
        (lease.agent.home / "locked", PermissionError),
    ):
        try:
            await lease.agent.read(path)
        except expected:
            continue
        raise AssertionError(f"reading {path} did not raise {expected.__name__}")
    await sh(lease.agent, "rm -rf place locked")


async def the_hosts_files_are_not_the_machines(lease: Lease) -> None:
    """What the agent writes into system directories, where it may at all, never arrives on this host."""
    path = PurePosixPath(f"/etc/redline-conformance-{uuid4()}")
    with suppress(OSError):  # a machine may refuse it
        await lease.agent.write(path, b"x")
    assert not await asyncio.to_thread(Path(path).exists), f"{path} was written on this host"
    await lease.agent.exec(["rm", "-f", str(path)])


async def what_is_too_large_is_said_to_be(lease: Lease) -> None:
    """Reading more than 16 MiB is an error, not a flood."""
    made = await sh(lease.agent, "head -c 17000000 /dev/zero >huge")
    assert made.ok, made.text
    said = 0
    try:
        await lease.agent.read(lease.agent.home / "huge")
    except OSError as error:
        said = error.errno or 0
    await sh(lease.agent, "rm huge")
    assert said == errno.EFBIG, "17 MB were read, or failed to be for another reason"


FILES = (
    files_keep_their_bytes,
    file_errors_are_pythons_own,
    the_hosts_files_are_not_the_machines,
    what_is_too_large_is_said_to_be,
)
