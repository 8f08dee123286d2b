"""Services of these worlds: programs of `programs/`, as they stand in a machine."""

from __future__ import annotations

import re
from importlib.resources import files
from typing import TYPE_CHECKING

from scenarios.listening import launched

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import PurePosixPath

    from environments import Control, Process

__all__ = ["ANSWERING", "plant_all", "program", "start"]

ANSWERING = "answering.py"
"""What the programs import, and lies beside them."""

BESIDE = "sys.path.insert(0, __file__.rpartition('/')[0] or '.')\nsys.dont_write_bytecode = True\n"


def program(name: str) -> bytes:
    """Return a program's text as it stands in a machine: it finds `answering` beside itself."""
    text = files("scenarios.suites.autonomy.programs").joinpath(name).read_text()
    return re.sub(
        r"^from scenarios\.\S+\.answering import", f"{BESIDE}from answering import", text, flags=re.MULTILINE
    ).encode()


async def plant_all(control: Control, place: PurePosixPath, texts: Mapping[str, str | bytes]) -> None:
    """Write files by their path below a place."""
    for name, text in texts.items():
        await control.plant(place / name, text.encode() if isinstance(text, str) else text)


async def start(control: Control, place: PurePosixPath, name: str, *arguments: str, port: int) -> Process:
    """Start `NAME.py` in its place and return its process once it listens; it writes to `logs/NAME.log`.

    Raises:
        PrepareFailed: it did not come up.
    """
    argv = ["python3", "-IS", f"{name}.py", *arguments]
    return await launched(control, argv, port=port, cwd=place, log=place / "logs" / f"{name}.log")
