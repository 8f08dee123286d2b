"""Sends small programs to a host over wires of their own, and hears what came of them."""

from __future__ import annotations

import asyncio
import json
import struct
from contextlib import suppress
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any, NamedTuple

from environments.attendant import BOOT_COMMAND
from environments.errors import Broken

if TYPE_CHECKING:
    from environments.ssh.link import Link

__all__ = ["Report", "send_on_errand"]

_MAGIC = b"\0redline errand\0"
_LENGTHS = struct.Struct(">II")
_MODULES = ("household", "tidy", "watch", "probes", "errands")


class Report(NamedTuple):
    """What an errand brought back."""

    fields: dict[str, Any]
    payload: bytes


async def send_on_errand(
    link: Link, what: str, *, stdin: bytes = b"", timeout_s: float = 300.0, **arguments: object
) -> Report:
    """Run one of the far errands as the user the link logs in as.

    Raises:
        LinkLost: the host cannot be reached.
        Broken: it does not do what it is asked; the message says what it said instead.
    """
    wire = await link.wire(BOOT_COMMAND)
    try:
        async with asyncio.timeout(timeout_s):
            with suppress(OSError):  # what it says before it goes is worth more
                await wire.send(_program(what, arguments) + stdin)
            said = b""
            while (report := _read(said)) is None:
                chunk = await wire.receive()
                if not chunk:
                    raise Broken(f"{link.place}: {_complaint(said)}", by_agent=False)
                said += chunk
    except (OSError, TimeoutError) as error:
        reason = str(error) or f"no answer within {timeout_s:g} s"
        raise Broken(f"{link.place}: {what} came to nothing: {reason}", by_agent=False) from error
    finally:
        wire.close()
    if "error" in report.fields:
        raise Broken(f"{link.place}: {what} came to nothing: {report.fields['error']}", by_agent=False)
    return report


def _read(said: bytes) -> Report | None:
    """Take the report out of what was said so far; None while it is not all there."""
    _, magic, rest = said.partition(_MAGIC)
    if not magic or len(rest) < _LENGTHS.size:
        return None
    text, payload = _LENGTHS.unpack_from(rest)
    end = _LENGTHS.size + text + payload
    if len(rest) < end:
        return None
    return Report(json.loads(rest[_LENGTHS.size : _LENGTHS.size + text]), rest[_LENGTHS.size + text : end])


def _complaint(said: bytes) -> str:
    text = " ".join(said.decode(errors="replace").split())[-300:]
    if "python3" in text and "not found" in text:
        return f"python3 is missing on the host ({text}); install it there"
    return f"the host ended a program{f', which said: {text}' if text else ''}"


def _program(what: str, arguments: dict[str, object]) -> bytes:
    call = f"main({what!r}, json.loads({json.dumps(arguments)!r}))\n"
    text = (_modules() + call).encode()
    return struct.pack(">I", len(text)) + text


@cache
def _modules() -> str:
    """Make modules of the far files by the names they know one another by, and load them in order."""
    package = resources.files("environments.ssh").joinpath("far")
    texts = [
        (f"environments.ssh.far.{name}", package.joinpath(f"{name}.py").read_text()) for name in _MODULES
    ]
    return (
        "import json, sys, types\n"
        f"for name, text in {texts!r}:\n"
        "    module = sys.modules[name] = types.ModuleType(name)\n"
        "    exec(compile(text, name, 'exec'), module.__dict__)\n"
        "main = sys.modules['environments.ssh.far.errands'].main\n"
    )
