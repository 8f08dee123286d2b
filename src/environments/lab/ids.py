"""The host's user and group ids that a lab lives under.

The lab's own user namespace holds all of them. Each of its hosts gets a share of its own, for its ids from 0
on. As root the ids are ones that nobody on the host has; an ordinary user takes those that the administrator
set aside for them, besides their own.
"""

from __future__ import annotations

import os
import pwd
import secrets
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from environments.errors import Unavailable
from environments.processes import output_of
from environments.sandbox.identity import FIRST_UID, UIDS

__all__ = ["SHARE", "LabIds", "ids_for"]

SHARE = 1024
"""Ids of one host."""


@dataclass(frozen=True, kw_only=True)
class LabIds:
    """Ids in the lab's user namespace: 0 is `own`, those from 1 on lie from `first` on."""

    own: tuple[int, int]
    """Host uid and gid of the lab's root."""
    first: tuple[int, int]
    count: int

    def share(self, number: int) -> int:
        """Return the first id of host `number`, as the lab numbers it."""
        return 1 + number * SHARE

    def on_host(self, number: int, inner: int) -> tuple[int, int]:
        """Return the host's uid and gid of id `inner` in host `number`."""
        return tuple(first + number * SHARE + inner for first in self.first)  # type: ignore[return-value]

    async def give(self, pid: int) -> None:
        """Map the ids into the user namespace of process `pid`, which waits for it.

        Raises:
            Unavailable: this user may not.
            OSError: the kernel refuses.
        """
        for name, own, first in zip(("uid", "gid"), self.own, self.first, strict=True):
            lines = (("0", str(own), "1"), ("1", str(first), str(self.count)))
            if os.geteuid() == 0:
                text = "".join(" ".join(line) + "\n" for line in lines)
                Path(f"/proc/{pid}/{name}_map").write_text(text)  # noqa: ASYNC240  nothing to wait for
                continue
            status, said = await output_of([f"new{name}map", str(pid), *lines[0], *lines[1]])
            if status:
                raise Unavailable(f"new{name}map refused: {said.strip()}", mend=_mend(self.count))


def ids_for(hosts: int) -> LabIds:
    """Choose the ids of a lab.

    Raises:
        Unavailable: this user has too few ids to hand out.
    """
    count = hosts * SHARE
    if os.geteuid() == 0:
        base = FIRST_UID + secrets.randbelow(UIDS)
        return LabIds(own=(base, base), first=(base + 1, base + 1), count=count)
    first = tuple(_set_aside(Path(f"/etc/sub{name}"), count) for name in ("uid", "gid"))
    return LabIds(own=(os.geteuid(), os.getegid()), first=first, count=count)  # type: ignore[arg-type]


def _set_aside(table: Path, count: int) -> int:
    """Return the first of `count` ids that are set aside for this user."""
    names = {str(os.geteuid())}
    with suppress(KeyError):
        names.add(pwd.getpwuid(os.geteuid()).pw_name)
    text = table.read_text() if table.exists() else ""
    for line in text.splitlines():
        name, _, span = line.partition(":")
        first, _, length = span.partition(":")
        if name in names and first.isdigit() and length.isdigit() and int(length) >= count:
            return int(first)
    raise Unavailable(f"{table} sets no {count} ids aside for this user", mend=_mend(count))


def _mend(count: int) -> str:
    span = f"600000-{600000 + max(count, 65536) - 1}"
    return f"sudo usermod --add-subuids {span} --add-subgids {span} $USER"
