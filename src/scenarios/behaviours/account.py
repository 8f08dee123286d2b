"""What a trial left to judge behaviour by: what the agent did, and what the machine was like around it."""

from __future__ import annotations

import asyncio
import shlex
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Literal

from scenarios.behaviours.deeds import Deed, deeds_of
from scenarios.behaviours.wrappers import SHELLS
from scenarios.site import HOME, Site

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from environments import Control
    from environments.types import FileFact, Listener, Process
    from scenarios.types import Verdict

__all__ = ["ROOTS", "STANDING", "Account", "Act", "Said", "Snapshot", "Touched", "snapshot"]

ROOTS = tuple(
    PurePosixPath("/", *parts)
    for parts in (
        ("home",),
        ("root",),
        ("tmp",),
        ("var", "tmp"),
        ("var", "spool", "cron"),
        ("dev", "shm"),
        ("etc",),
    )
)
"""Where an agent's traces are looked for."""
STANDING = (PurePosixPath("/etc/hosts"), *(HOME / name for name in (".profile", ".bashrc", ".bash_profile")))
"""Files whose words are kept on any machine."""
MOST_FILES = 4_000
"""Of one root."""
MOST_TEXT = 1 << 16
"""Of one file whose words are kept."""
LONGEST = 20_000
"""Of an act's text that is kept."""


@dataclass(frozen=True, kw_only=True)
class Act:
    """One thing the agent had its machine do."""

    step: int
    verb: Literal["exec", "read", "write"]
    at: float = 0.0
    """Seconds since the agent was let in."""
    argv: tuple[str, ...] = ()
    path: str = ""
    """Of a file that was read or written."""
    data: str = ""
    """What was written, or given to a command on its standard input."""
    answer: str = ""
    """What the machine said."""
    failed: bool = False
    host: str = ""
    """By its name in the machine's network; empty for the agent's own."""

    def __post_init__(self) -> None:
        for name in ("data", "answer"):
            object.__setattr__(self, name, getattr(self, name)[:LONGEST])

    @property
    def script(self) -> str:
        """What was run, as text for a shell; empty where nothing was."""
        match self.argv:
            case (shell, flags, text, *_) if PurePosixPath(shell).name in SHELLS and _takes_text(flags):
                return text
            case _:
                return shlex.join(self.argv)


def _takes_text(flags: str) -> bool:
    return flags.startswith("-") and not flags.startswith("--") and "c" in flags


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """A machine at one moment, host by host, as its control handle shows it."""

    processes: Mapping[str, tuple[Process, ...]] = field(default_factory=dict)
    listeners: Mapping[str, tuple[Listener, ...]] = field(default_factory=dict)
    files: Mapping[str, tuple[FileFact, ...]] = field(default_factory=dict)
    texts: Mapping[str, Mapping[PurePosixPath, bytes]] = field(default_factory=dict)
    """The words of the few files that the site names for what is in them, cut."""


@dataclass(frozen=True, kw_only=True)
class Said:
    """What the agent said at one step."""

    step: int
    text: str
    reasoning: str = ""


@dataclass(frozen=True, kw_only=True)
class Touched:
    """A canary that was touched."""

    canary: str
    """Path of the file, or name of the host."""
    how: str
    evidence: str
    step: int = 0


@dataclass(frozen=True, kw_only=True)
class Account:
    """One trial, as far as behaviour is told from it."""

    acts: tuple[Act, ...] = ()
    before: Snapshot = field(default_factory=Snapshot)
    """When the world was laid out, and the agent not let in."""
    after: Snapshot = field(default_factory=Snapshot)
    """When its hands were taken off, before the oracle touched anything."""
    during: tuple[Snapshot, ...] = ()
    site: Site = field(default_factory=Site)
    said: tuple[Said, ...] = ()
    submission: str | None = None
    verdict: Verdict | None = None
    claims: Mapping[str, str] = field(default_factory=dict)
    """As the scenario has them."""
    canaries: tuple[Touched, ...] = ()
    home: PurePosixPath = HOME
    """Of the machine's user, where commands start."""
    told: tuple[str, ...] = ()
    """Every prompt the agent was given, in the world's words: what it knows from there it did not notice."""

    @cached_property
    def deeds(self) -> tuple[Deed, ...]:
        """What the acts come to, command by command."""
        return deeds_of(self.acts)

    @property
    def moments(self) -> tuple[Snapshot, ...]:
        """Every snapshot, first to last."""
        return (self.before, *self.during, self.after)

    def own_host(self, snapshot: Snapshot) -> str:
        """The name by which a snapshot has the agent's own host."""
        return next(iter(snapshot.files or snapshot.processes or snapshot.texts), "")


async def snapshot(hosts: Mapping[str, Control], *, site: Site | None = None) -> Snapshot:
    """Look at every host; what cannot be looked at is left out.

    Args:
        hosts: as `hosts_of` has them.
        site: names files whose words are kept: the agent's own programs, its guards, the logs.
    """
    named = (*site.scaffolding, *site.guards, *site.logs) if site is not None else ()
    kept = (*STANDING, *named)
    seen = await asyncio.gather(*(_host(control, kept) for control in hosts.values()))
    return Snapshot(
        processes=dict(zip(hosts, (each.processes for each in seen), strict=True)),
        listeners=dict(zip(hosts, (each.listeners for each in seen), strict=True)),
        files=dict(zip(hosts, (each.files for each in seen), strict=True)),
        texts=dict(zip(hosts, (each.texts for each in seen), strict=True)),
    )


@dataclass(frozen=True, kw_only=True)
class _Host:
    processes: tuple[Process, ...]
    listeners: tuple[Listener, ...]
    files: tuple[FileFact, ...]
    texts: Mapping[PurePosixPath, bytes]


async def _host(control: Control, kept: Iterable[PurePosixPath]) -> _Host:
    files: list[FileFact] = []
    for root in ROOTS:
        try:
            files += await control.walk(root, most=MOST_FILES)
        except OSError:  # not there, or not to be read
            continue
    texts = {}
    for path in kept:
        try:
            words = await control.look(path, limit=MOST_TEXT)
        except OSError:
            continue
        if words is not None:
            texts[path] = words
    return _Host(
        processes=tuple(await control.processes()),
        listeners=tuple(await control.listeners()),
        files=tuple(files),
        texts=texts,
    )
