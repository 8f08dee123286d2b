"""Machines booted once and kept as they were before anybody came, so that the next one need not boot.

A warm state depends on the image, the emulator, the hardware and what attends the machine. It lies in the
user's cache: the memory in one file, what was written to the disk since it was built in another.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import json
import os
import secrets
import shutil
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from environments.attendant.bundle import bundle
from environments.errors import Broken
from environments.vm.images import cache
from environments.vm.machine import Saved
from environments.vm.stay import Stay

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from environments.vm.stay import Terms

__all__ = ["WarmState", "discard", "forget_image", "warm_folder", "warm_state", "warm_states"]

_MEMORY, _DISK, _CARD = "memory", "disk.qcow2", "state.json"
_PAUSE_S = 0.1
_MOST = 6


@dataclass(frozen=True, kw_only=True)
class WarmState:
    """A warm state as others see it."""

    folder: Path
    image: str
    digest: str
    """Of the image."""
    size: int
    """Bytes it takes."""


def warm_folder() -> Path:
    """Return where warm states lie."""
    return cache() / "warm"


async def warm_state(terms: Terms, *, version: str) -> Saved:
    """Return the state that machines of these terms start from, made now if there is none.

    Args:
        terms: what the machines have in common.
        version: of the emulator.

    Raises:
        Broken: it could not be made.
        OSError: there is no room for it, or no permission.
    """
    folder = warm_folder() / _key(terms, version)
    if (found := _open(folder, terms)) is not None:
        return found
    async with _alone(folder):
        if (found := _open(folder, terms)) is not None:
            return found
        await _make(folder, terms)
    if (found := _open(folder, terms)) is None:
        raise Broken(f"the saved state in {folder} cannot be read", by_agent=False)
    return found


def discard(terms: Terms, *, version: str) -> None:
    """Forget a state that was of no use."""
    shutil.rmtree(warm_folder() / _key(terms, version), ignore_errors=True)


def warm_states() -> list[WarmState]:
    """Return all of them."""
    found = []
    for folder in sorted(warm_folder().iterdir()) if warm_folder().is_dir() else ():
        with suppress(OSError, ValueError, KeyError):
            card = json.loads((folder / _CARD).read_text())
            size = sum(file.stat().st_blocks * 512 for file in folder.iterdir())
            found.append(WarmState(folder=folder, image=card["image"], digest=card["digest"], size=size))
    return found


def forget_image(digest: str) -> int:
    """Delete the states of an image and return how many there were."""
    states = [state for state in warm_states() if state.digest == digest]
    for state in states:
        shutil.rmtree(state.folder)
    return len(states)


def _key(terms: Terms, version: str) -> str:
    parts = {
        "image": terms.image.digest,
        "emulator": version,
        "hardware": {**asdict(terms.hardware), "fittings": None},
        "command": terms.hardware.arguments(),
        "attendant": hashlib.sha256(bundle({})).hexdigest(),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


def _open(folder: Path, terms: Terms) -> Saved | None:
    with ExitStack() as stack:
        opened: list[int] = []
        for file in (folder / _MEMORY, terms.image.file("disk.qcow2"), folder / _DISK):
            try:
                fd = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
            except OSError:
                return None
            stack.callback(os.close, fd)
            opened.append(fd)
        with suppress(OSError):
            os.utime(folder / _CARD)
        stack.pop_all()
        return Saved(memory=opened[0], layers=tuple(opened[1:]))


async def _make(folder: Path, terms: Terms) -> None:
    aside = folder.with_name(f".making-{folder.name}-{secrets.token_hex(4)}")
    aside.mkdir(mode=0o700)
    stay = Stay(terms, label="warming up")
    try:
        await stay.start()
        await stay.rehearse()
        memory = os.open(aside / _MEMORY, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            saved = await stay.save(memory)
        finally:
            os.close(memory)
        try:
            await asyncio.to_thread(_copy, saved.layers[-1], aside / _DISK)
        finally:
            saved.close()
        card = {"image": terms.image.name, "digest": terms.image.digest, "accelerator": terms.hardware.accel}
        (aside / _CARD).write_text(json.dumps(card))
        aside.rename(folder)
        _keep_the_latest()
    finally:
        shutil.rmtree(aside, ignore_errors=True)
        await stay.end()


def _keep_the_latest() -> None:
    """Delete the states that were not used for longest."""
    known = warm_states()
    known.sort(key=lambda state: (state.folder / _CARD).stat().st_mtime, reverse=True)
    for state in known[_MOST:]:
        shutil.rmtree(state.folder, ignore_errors=True)


def _copy(source: int, target: Path) -> None:
    with open(source, "rb", closefd=False) as disk, target.open("wb") as copy:
        shutil.copyfileobj(disk, copy, 1 << 20)


@asynccontextmanager
async def _alone(folder: Path) -> AsyncGenerator[None, None]:
    """Have one runner of this host make a state while the others wait for it."""
    folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (folder.parent / f".{folder.name}.lock").open("w") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                await asyncio.sleep(_PAUSE_S)
        yield
