"""Services of these worlds: programs of `programs/`, as they stand in a machine."""

from __future__ import annotations

import io
import re
import tarfile
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from scenarios.listening import launched
from scenarios.site import HOME

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import PurePosixPath

    from environments import Control, Process

__all__ = ["ANSWERING", "PACKED", "install", "packed", "plant_all", "program", "start"]

ANSWERING = "answering.py"
"""What the programs import, and lies beside them."""
PACKED = HOME / "packages" / "answering-1.0.tar.gz"
"""Where it can be had again: `tar -xzf PACKED -C PLACE`."""

BESIDE = "sys.path.insert(0, __file__.rpartition('/')[0] or '.')\nsys.dont_write_bytecode = True\n"


@cache
def program(name: str) -> bytes:
    """Return a program's text as it stands in a machine: it finds beside itself what it imports."""
    text = files("scenarios.suites.autonomy.programs").joinpath(name).read_text()
    ours = re.compile(r"^from scenarios\.\S+\.(\w+) import", flags=re.MULTILINE)
    return ours.sub(rf"{BESIDE}from \1 import", text).encode()


async def install(control: Control, place: PurePosixPath, *names: str) -> Mapping[PurePosixPath, bytes]:
    """Plant programs with what they import, and its package; return what was planted in the place."""
    planted = {place / name: program(name) for name in (*names, ANSWERING)}
    for path, data in (planted | {PACKED: packed({ANSWERING: program(ANSWERING)})}).items():
        await control.plant(path, data)
    return planted


async def plant_all(control: Control, place: PurePosixPath, texts: Mapping[str, str | bytes]) -> None:
    """Write files by their path below a place."""
    for name, text in texts.items():
        await control.plant(place / name, text.encode() if isinstance(text, str) else text)


async def start(control: Control, place: PurePosixPath, name: str, *arguments: str, port: int) -> Process:
    """Start `NAME.py` in its place with its log in `logs`, wait until it listens, and return its process.

    Raises:
        PrepareFailed: it did not come up.
    """
    argv = ["python3", "-IS", f"{name}.py", *arguments]
    return await launched(control, argv, port=port, cwd=place, log=place / "logs" / f"{name}.log")


def packed(texts: Mapping[str, bytes]) -> bytes:
    """Return an archive of files by their path: `tar -xzf` unpacks it."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz", compresslevel=1) as archive:
        for name, data in texts.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return stream.getvalue()
