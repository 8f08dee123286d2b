"""Values that pass between a machine and whoever holds one of its handles.

All are frozen. Paths inside a machine are `PurePosixPath`, paths on the host are `Path`, so the two
cannot be mixed up.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from pathlib import PurePosixPath

    from environments.protocols import Checkpoints, Closure, Control, Environment, Gate

__all__ = [
    "Certificate",
    "ExecResult",
    "FileFact",
    "FileId",
    "Grade",
    "Lease",
    "Limits",
    "Listener",
    "Phase",
    "Probe",
    "Process",
    "Supply",
]

Grade = Literal["hypervisor", "host", "root_shell", "same_user"]
"""How far out of the agent's reach a control handle is, strongest first."""


Phase = Literal["before", "during", "after"]
"""When a machine was examined: before the agent came, while it acted, after its hands were taken off."""


@dataclass(frozen=True, kw_only=True)
class ExecResult:
    """What a command did. A failed command is a value, never an exception."""

    status: int
    """Exit status; 128 + signal where a signal ended the command."""
    stdout: bytes = b""
    stderr: bytes = b""
    timed_out: bool = False
    """The command was ended, with its process group, at its time limit; the output so far is kept."""
    dropped: int = 0
    """Bytes of output cut from the middle because the machine's output limit was reached."""
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """The command ended by itself with status 0."""
        return self.status == 0 and not self.timed_out

    @property
    def text(self) -> str:
        """Standard output, then standard error, decoded leniently."""
        return (self.stdout + self.stderr).decode(errors="replace")


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Resource fences of one machine. How each is enforced stands in the certificate."""

    memory_bytes: int = 1 << 30
    processes: int = 256
    disk_bytes: int = 256 << 20
    """Everything the agent writes, on all writable file systems together."""
    output_bytes: int = 64 << 10
    """Of one command's output kept, for standard output and standard error each."""
    open_files: int = 1024
    cpus: float = 2.0
    """Processors' worth of time, over all of the machine's processes."""
    lifetime_s: float = 6 * 3600.0
    """After so long the warden ends the machine, whatever is done on it."""


class FileId(NamedTuple):
    """What makes two names the same file."""

    device: int
    inode: int


@dataclass(frozen=True, kw_only=True)
class FileFact:
    """One directory entry as the host sees it; a link is described, never followed."""

    path: PurePosixPath
    kind: Literal["file", "directory", "link", "other"]
    id: FileId
    links: int
    size: int
    mode: int
    accessed: float
    """When it was last read, as the file system keeps it: seconds since the epoch. Its user can set it."""
    changed: float
    """When its content, name or owner last changed: seconds since the epoch. Only the kernel sets it."""
    target: str | None = None
    """Where a symbolic link points."""


@dataclass(frozen=True, kw_only=True)
class Process:
    """One process of the machine as the host sees it. `pid` and `started` together identify it."""

    pid: int
    """As numbered inside the machine."""
    started: int
    """Clock ticks after boot: a reused pid has another start."""
    parent: int
    state: str
    """One letter of proc(5): R, S, D, T (stopped), Z (zombie), ..."""
    argv: tuple[str, ...]
    cwd: str | None
    mapped: frozenset[FileId] = field(default_factory=frozenset)
    """Files mapped into memory."""


@dataclass(frozen=True, kw_only=True)
class Listener:
    """A TCP socket that accepts connections inside the machine."""

    port: int
    address: str
    pids: tuple[int, ...]
    """Every process that holds the socket, as numbered inside the machine."""


@dataclass(frozen=True, kw_only=True)
class Probe:
    """One statement about the machine's closure, and what was found when it was tested."""

    name: str
    declared: str
    found: str
    seen_from: Literal["outside", "inside"] = "outside"
    """Whether the kernel's or the emulator's own view was read, or it was tried as the agent."""
    phase: Phase = "before"

    @property
    def ok(self) -> bool:
        """Declared equals found."""
        return self.declared == self.found

    def as_fields(self) -> dict[str, str]:
        """Return it for the record. There are a hundred a trial, and `asdict` takes its time."""
        return {
            "name": self.name,
            "declared": self.declared,
            "found": self.found,
            "seen_from": self.seen_from,
            "phase": self.phase,
        }


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """The record that a machine was as closed as declared: before the agent came, during its stay, after."""

    provider: str
    grade: Grade
    probes: tuple[Probe, ...]
    fences: tuple[tuple[str, str], ...] = ()
    """Resource, and how its limit is enforced: "cgroup v1", "rlimit", "tmpfs size", "not enforced"."""
    declared: tuple[tuple[str, str], ...] = ()
    """What the provider says of the machine in words: what it may reach, what it sees, who may see it."""
    time_to_quiet: str = "not drilled on this host"
    """How long after a stop the last process was gone, as `redline drill` measured it."""
    closed: bool = True
    """Whether the provider claims a machine closed enough for hazardous work at all."""

    @property
    def granted(self) -> bool:
        """Every probe found what was declared, and the provider claims closure."""
        return self.closed and bool(self.probes) and all(p.ok for p in self.probes)

    def as_fields(self) -> dict[str, Any]:
        """Return it for the record."""
        return {
            "provider": self.provider,
            "grade": self.grade,
            "probes": [probe.as_fields() for probe in self.probes],
            "fences": self.fences,
            "declared": self.declared,
            "time_to_quiet": self.time_to_quiet,
            "closed": self.closed,
            "granted": self.granted,
        }

    def refusal(self) -> str:
        """Why the certificate is not granted, in one line."""
        if not self.closed:
            return f"{self.provider} does not claim to contain what runs on it"
        wrong = [
            f"{p.name}: declared {p.declared}, found {p.found}"
            + ("" if p.phase == "before" else f" ({p.phase})")
            for p in self.probes
            if not p.ok
        ]
        return "; ".join(wrong) if wrong else "nothing was probed"


@dataclass(frozen=True, kw_only=True)
class Supply:
    """How machines of a kind can be had. A provider that has something to say keeps it as `supply`."""

    most: int | None = None
    """Machines at a time; None where only the host's means are a limit."""
    occupies_bytes: int = 0
    """Of the host's memory, by one machine for as long as it is open. 0 for hardly any."""
    ahead: int = 0
    """How many to open before they are asked for, because opening takes long."""
    seeded: bool = False
    """Whether a machine depends on the seed it is opened with, so that none can be opened ahead."""


@dataclass(frozen=True, kw_only=True)
class Lease:
    """One open machine: the agent's handle, the judge's handle, and the record of its closure."""

    agent: Environment
    control: Control
    certificate: Certificate
    closure: Closure | None = None
    """Examines the machine again. Without it no hazardous work is done on the machine."""
    gate: Gate | None = None
    """Takes what is said on a port inside to redline. None where the machine has no such door."""
    checkpoints: Checkpoints | None = None
    """Where machines of this kind can be saved, put back and forked."""
