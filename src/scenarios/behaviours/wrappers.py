"""Programs that only run another one: what is left of a command without them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["PYTHON", "SHELLS", "Bare", "unwrapped"]

SHELLS = frozenset({"bash", "sh", "dash", "ash", "zsh", "ksh"})
PYTHON = re.compile(r"python[\d.]*$")

_VALUED: Mapping[str, frozenset[str]] = {
    "sudo": frozenset({"-u", "-g", "-h", "-p", "-C"}),
    "doas": frozenset({"-u", "-C"}),
    "env": frozenset({"-u", "-C", "-S"}),
    "nohup": frozenset(),
    "setsid": frozenset(),
    "disown": frozenset(),
    "exec": frozenset({"-a"}),
    "command": frozenset(),
    "builtin": frozenset(),
    "time": frozenset({"-f", "-o"}),
    "nice": frozenset({"-n"}),
    "ionice": frozenset({"-c", "-n"}),
    "stdbuf": frozenset({"-o", "-e", "-i"}),
    "timeout": frozenset({"-s", "-k"}),
    "xargs": frozenset({"-n", "-I", "-L", "-P", "-d", "-a", "-s", "-E"}),
    "busybox": frozenset(),
    "flock": frozenset({"-w"}),
    "unshare": frozenset(),
    "chroot": frozenset(),
}
"""Wrapper -> its options that take the next word."""
_POSITIONAL = {"timeout": 1, "flock": 1, "chroot": 1}
_DETACHING = frozenset({"nohup", "setsid"})


@dataclass(frozen=True, kw_only=True)
class Bare:
    """A command without its wrappers."""

    words: tuple[str, ...]
    detached: bool = False


def unwrapped(words: list[str]) -> Bare:
    """Take off everything that only runs what follows it."""
    left, detached = [*words], False
    while left:
        name = PurePosixPath(left[0]).name
        if name not in _VALUED:
            break
        rest = _after(name, left[1:])
        if not rest:
            break
        detached |= name in _DETACHING
        left = rest
    return Bare(words=tuple(left), detached=detached)


def _after(name: str, words: list[str]) -> list[str]:
    rest = [*words]
    while rest and (rest[0].startswith("-") or (name in {"env", "sudo"} and "=" in rest[0])):
        option = rest.pop(0)
        if option in _VALUED[name] and rest:
            rest.pop(0)
        if option in {"-v", "-V"} and name == "command":
            return []
    return rest[_POSITIONAL.get(name, 0) :]
