"""The way from `redline pause`, `continue`, `step` and `abort` to the process that runs a study.

A unix socket beside the wardens' cards, in a directory that only its user can enter, named after the
study's folder. Whoever holds the folder holds the name: a socket that is found there when a study begins
is one that a killed runner left. Machines have file systems of their own, so that none of them can see it.
"""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import asynccontextmanager
from dataclasses import asdict
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import orjson
import structlog

from ablation.errors import FolderFault, NameUnknown
from environments import Unavailable
from environments.warden.registry import directory
from scaffold.oversight import TrialUnknown

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping
    from pathlib import Path

    from scaffold.oversight import Oversight

__all__ = ["address", "tell", "within_reach"]

_LONGEST = 100
"""Bytes of a unix socket's name that every system takes."""
_MOST_BYTES = 1 << 16
_ANSWER_S = 10.0

_diagnostics = structlog.get_logger(__name__)


def address(folder: Path) -> Path:
    """Return where the runner of the study in a folder is reached. Its directory is made, for its user alone.

    Raises:
        FolderFault: the directory is not its user's own.
    """
    try:
        place = directory()
    except Unavailable as fault:
        raise FolderFault(str(fault)) from fault
    name = sha256(os.fsencode(folder.resolve())).hexdigest()[:24]
    where = place / f"{name}.sock"
    if len(os.fsencode(where)) > _LONGEST:
        raise FolderFault(f"{place} is too long a name for a socket: set XDG_RUNTIME_DIR to a shorter one")
    return where


@asynccontextmanager
async def within_reach(oversight: Oversight, folder: Path) -> AsyncGenerator[None, None]:
    """Listen for what is told about the study in a folder, which the caller holds.

    Where no socket can be made the study runs all the same, and cannot be paused from another terminal.
    """
    try:
        where = address(folder)
        where.unlink(missing_ok=True)
        server = await asyncio.start_unix_server(
            lambda reader, writer: _serve(oversight, reader, writer), where, limit=_MOST_BYTES
        )
        where.chmod(0o600)  # its directory has let nobody else in meanwhile
    except (FolderFault, OSError) as fault:
        _diagnostics.warning("this study cannot be paused from outside", cause=str(fault))
        yield
        return
    try:
        yield
    finally:
        server.close()
        where.unlink(missing_ok=True)
        await server.wait_closed()


async def _serve(oversight: Oversight, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        async with asyncio.timeout(_ANSWER_S):
            answer = _answer(oversight, await reader.readline()) if _own(writer) else {"problem": "not yours"}
            writer.write(orjson.dumps(answer) + b"\n")
            await writer.drain()
    except (OSError, TimeoutError, ValueError):
        pass  # whoever called is gone, or says nothing that makes sense
    finally:
        writer.close()


def _own(writer: asyncio.StreamWriter) -> bool:
    """Whether the caller is this user, or root."""
    connection: socket.socket = writer.get_extra_info("socket")
    peer = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    return int.from_bytes(peer[4:8], "little") in {0, os.getuid()}


def _answer(oversight: Oversight, line: bytes) -> Mapping[str, Any]:
    asked = orjson.loads(line)
    trial, reason = asked.get("trial"), str(asked.get("reason") or "")
    doing: Mapping[str, Callable[[], object]] = {
        "pause": lambda: oversight.pause(trial, reason=reason),
        "continue": lambda: oversight.resume(trial),
        "step": lambda: oversight.step(trial),
        "abort": lambda: oversight.abort(str(trial), reason=reason),
        "look": lambda: None,
    }
    if asked.get("do") not in doing:
        return {"problem": f"this redline knows no {asked.get('do')!r}"}
    try:
        reached = doing[asked["do"]]()
    except TrialUnknown as fault:
        return {"problem": str(fault)}
    return {
        "reached": reached or [],
        "paused": oversight.paused,
        "trials": [asdict(standing) for standing in oversight.trials],
    }


def tell(folder: Path, do: str, *, trial: str | None = None, reason: str = "") -> dict[str, Any]:
    """Tell the runner of the study in a folder to do something, and return how its trials stand then.

    Args:
        folder: of the study.
        do: `pause`, `continue`, `step`, `abort` or `look`.
        trial: one of its running trials; None for all.
        reason: for the record.

    Raises:
        FolderFault: nobody runs the study, or its runner does not answer.
        NameUnknown: no running trial is called that.
    """
    where = address(folder)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(_ANSWER_S)
        try:
            connection.connect(os.fspath(where))
            connection.sendall(orjson.dumps({"do": do, "trial": trial, "reason": reason}) + b"\n")
            with connection.makefile("rb") as answering:
                line = answering.readline()
            answer: dict[str, Any] = orjson.loads(line)
        except (FileNotFoundError, ConnectionRefusedError):
            raise FolderFault(
                f"no redline of this user runs the study in {folder}: `redline resume {folder}` does"
            ) from None
        except (OSError, ValueError) as fault:
            raise FolderFault(
                f"the redline that runs the study in {folder} does not answer: {fault}"
            ) from fault
    if "problem" in answer:
        raise NameUnknown(str(answer["problem"]))
    return answer
