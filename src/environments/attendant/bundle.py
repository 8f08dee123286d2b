"""The attendant as text, and the command that turns a wire's far end into it."""

from __future__ import annotations

import json
import struct
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["BOOT_COMMAND", "LENGTHS", "MAGIC", "bundle"]

MAGIC = b"\0redline attendant\0"
"""What the attendant says first; anything before it is a login shell's chatter."""
LENGTHS = struct.Struct(">II")
_MODULES = ("jobs", "loop", "verbs", "entry")

_BOOT = """\
import os
def take(size):
    data = b""
    while len(data) < size:
        chunk = os.read(0, size - len(data))
        chunk or os._exit(1)
        data += chunk
    return data
exec(take(int.from_bytes(take(4), "big")))
"""
BOOT_COMMAND = f"exec python3 -I -S -c 'exec({json.dumps(_BOOT)})'"
"""For a shell at the far end. It is one line, so that any login shell understands it alike."""


@cache
def _program() -> str:
    """Make modules of the far files by the names they know one another by, and load them in order."""
    package = resources.files("environments.attendant").joinpath("far")
    texts = [
        (f"environments.attendant.far.{name}", package.joinpath(f"{name}.py").read_text())
        for name in _MODULES
    ]
    return (
        "import json, sys, types\n"
        f"for name, text in {texts!r}:\n"
        "    module = sys.modules[name] = types.ModuleType(name)\n"
        "    exec(compile(text, name, 'exec'), module.__dict__)\n"
        "far = 'environments.attendant.far.'\n"
        "main, verbs = sys.modules[far + 'entry'].main, sys.modules[far + 'verbs'].VERBS\n"
    )


def bundle(settings: Mapping[str, Any]) -> bytes:
    """Return what is to be sent first over a wire with `BOOT_COMMAND` at its far end.

    Args:
        settings: see `far.entry.main`.
    """
    text = (_program() + f"main(verbs, json.loads({json.dumps(settings)!r}))\n").encode()
    return struct.pack(">I", len(text)) + text
