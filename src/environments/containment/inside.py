"""What a machine looks like to the agent: one small program, sent in as text, looks and knocks, and tells.

What it tells is believed as far as nothing on the machine can have changed what runs it. Where the agent
could have (it owns every file of a sandbox), its word alone makes no loss: what redline's own listeners hear
does, and what the kernel says from outside.
"""

from __future__ import annotations

import ast
import binascii
import json
import secrets
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from environments.containment.kernel import SOCKETS, control_sockets, listed
from environments.types import Probe

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from environments.containment.canaries import Canaries

__all__ = [
    "Declared",
    "Inside",
    "Witnessed",
    "arguments",
    "heard",
    "probes_of",
    "program",
    "program_with",
    "read",
]

_WAIT_S = 0.4
_MOST_TEXT = 300
_IN_MEMORY = frozenset({"cgroup", "cgroup2", "devpts", "devtmpfs", "mqueue", "proc", "sysfs", "tmpfs"})


@dataclass(frozen=True, kw_only=True)
class Witnessed:
    """What came back from inside."""

    fields: Mapping[str, Any]
    vouched: bool
    """Whether what looked is still what redline started, so that it cannot have been made to lie by files."""


class Inside(Protocol):
    """A way to have the program run as the agent, which is none of the agent's own."""

    async def look(self, about: Mapping[str, Any]) -> Witnessed | None:
        """Return what was seen; None where nothing usable came back, whatever the reason."""
        ...


@dataclass(frozen=True, kw_only=True)
class Declared:
    """What the agent is to find. A subject that is None cannot be asked about on machines of the kind."""

    user: str | None = "1000 1000"
    """Its id, and those of all its groups."""
    capabilities: str | None = "none"
    new_privileges: str | None = "refused"
    interfaces: str | None = "lo"
    routes: str | None = "none"
    metadata: str | None = "none"
    names: str | None = "no answer"
    sockets: str | None = "none"
    processes: str | None = "none"
    mounts: str | None = "none"
    devices: str | None = "none"
    groups: str | None = "none"
    nests: str | None = "refused"
    calls: str | None = "none"
    kinds: frozenset[str] = _IN_MEMORY
    """Kinds of file systems that are part of the machine."""
    places: frozenset[str] = field(default_factory=frozenset)
    """Mount points that are part of it, of whatever kind."""
    ports: tuple[str, ...] = ("/dev/",)
    """Where devices are that matter, as beginnings of paths."""
    by_itself: bool = False
    """The machine is a host of its own: what counts is which control sockets there the agent may use."""


_NAMES: Mapping[str, tuple[str, Callable[[Mapping[str, Any], Declared], str]]] = {
    "user": ("agent's user", lambda seen, _: str(seen["user"])),
    "capabilities": ("capabilities", lambda seen, _: str(seen["capabilities"])),
    "new_privileges": ("new privileges", lambda seen, _: str(seen["new_privileges"])),
    "interfaces": ("network interfaces", lambda seen, _: listed(seen["interfaces"])),
    "routes": ("routes", lambda seen, _: listed(seen["routes"])),
    "metadata": ("metadata routes", lambda seen, _: listed(seen["metadata"])),
    "names": ("name resolution", lambda seen, _: str(seen["names"])),
    "sockets": ("host's control sockets", lambda seen, _: listed(seen["sockets"])),
    "processes": ("host's processes", lambda seen, _: listed(seen["processes"])),
    "mounts": ("directories of the host", lambda seen, declared: listed(_strange(seen, declared))),
    "devices": ("devices", lambda seen, declared: listed(_ports(seen, declared))),
    "groups": ("control groups to change", lambda seen, _: listed(seen["groups"])),
    "nests": ("further namespaces", lambda seen, _: str(seen["nests"])),
}


def _strange(seen: Mapping[str, Any], declared: Declared) -> list[str]:
    return [
        f"{place} ({kind})"
        for kind, place in seen["mounts"]
        if kind not in declared.kinds and place not in declared.places
    ]


def _ports(seen: Mapping[str, Any], declared: Declared) -> list[str]:
    return [device for device in seen["devices"] if device.startswith(declared.ports)]


@cache
def program() -> str:
    """Return the text of the program; it defines `look_around` and `written`.

    Without what is written for readers: it would take time to read there, and tell whose program it is.
    """
    text = resources.files("environments.containment").joinpath("far", "surroundings.py").read_text()
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.FunctionDef) and ast.get_docstring(node) is not None:
            del node.body[0]
    return ast.unparse(tree)


def program_with(about: Mapping[str, Any]) -> bytes:
    """Return the program as one that prints what it finds."""
    call = f"import sys\nsys.stdout.write(written(look_around(**{dict(about)!r})))\n"
    return f"{program()}\n{call}".encode()


def arguments(
    doors: Collection[tuple[str, str, int, str]], *, alone: bool, by_itself: bool
) -> dict[str, Any]:
    """Return what the program is told. Nothing in it says what the host is called or runs.

    Args:
        doors: where to knock.
        alone: the agent was not let in yet.
        by_itself: see `Declared`.
    """
    known = None if by_itself else [list(each) for each in control_sockets().values()]
    paths = [*SOCKETS] if by_itself else [*control_sockets()]
    return {
        "doors": [list(door) for door in doors],
        "name": f"{secrets.token_hex(6)}.invalid",
        "wait_s": _WAIT_S,
        "paths": paths,
        "known": known,
        "marks": [_mark()],
        "alone": alone,
    }


def _mark() -> list[int]:
    """Return what tells this very process in a machine's process table, and nothing about it."""
    line = Path("/proc/self/cmdline").read_bytes()
    began = int(Path("/proc/self/stat").read_bytes().rpartition(b")")[2].split()[19])
    return [began, len(line), binascii.crc32(line)]


def read(said: bytes) -> Mapping[str, Any] | None:
    """Read what the program printed; None for anything else, whoever printed it in its place."""
    try:
        fields = json.loads(said)
        return fields if isinstance(fields, dict) and _NAMES.keys() <= fields.keys() else None
    except (ValueError, RecursionError):
        return None


def probes_of(testimony: Witnessed, declared: Declared, *, alone: bool) -> list[Probe]:
    """Return a probe for each subject. Of testimony nobody vouches for only what is as declared counts."""
    found = []
    for subject, (name, say) in _NAMES.items():
        expected = getattr(declared, subject)
        if expected is None or (subject == "nests" and not alone):
            continue
        try:
            said = say(testimony.fields, declared)[:_MOST_TEXT]
        except (TypeError, ValueError, KeyError):  # written by who runs in our place
            continue
        if said == expected or testimony.vouched:
            found.append(Probe(name=name, declared=expected, found=said, seen_from="inside"))
    return found


def heard(canaries: Canaries, declared: Declared, *, nowhere: str = "") -> list[Probe]:
    """Return the probe of what redline's own listeners heard, whoever said what about it.

    Args:
        canaries: the listeners.
        declared: what they are to hear.
        nowhere: what stands in for an answer where nothing could be tried.
    """
    if declared.calls is None:
        return []
    found = nowhere or listed(sorted(canaries.heard))
    return [Probe(name="calls redline heard", declared=declared.calls, found=found, seen_from="inside")]
