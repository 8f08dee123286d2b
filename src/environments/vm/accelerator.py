"""Finds out whether this host can run machines on its processor: by running one, not by looking at a file.

What was found is kept, so that it is tried once for each kernel and emulator.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from environments.errors import Broken, Unavailable
from environments.vm.hardware import Hardware, emulator_version
from environments.vm.images import cache
from environments.vm.stay import Stay, Terms

if TYPE_CHECKING:
    from environments.types import Limits
    from environments.vm.hardware import Accelerator
    from environments.vm.images import Image

__all__ = ["Wish", "choose"]

Wish = Literal["auto", "kvm", "tcg"]
_DEVICE = Path("/dev/kvm")
_PROBING_S = 25.0
_INSTEAD = "or choose accel='tcg', which is slower"


async def choose(wish: Wish, image: Image, limits: Limits) -> Accelerator:
    """Return the accelerator to use.

    Args:
        wish: "auto" for the fastest that works.
        image: what is booted to find out.
        limits: of the machine that is booted to find out.

    Raises:
        Unavailable: KVM is wished for and does not work here; the message says why.
    """
    if wish == "tcg":
        return "tcg"
    trouble = _forbidden() or await _futile(image, limits)
    if trouble is None:
        return "kvm"
    if wish == "kvm":
        raise trouble
    return "tcg"


def _forbidden() -> Unavailable | None:
    """Return why KVM cannot be opened, or nothing."""
    if not _DEVICE.exists():
        mend = f"sudo modprobe kvm_intel (or kvm_amd), {_INSTEAD}"
        return Unavailable(f"there is no {_DEVICE}: KVM is off", mend=mend)
    found = _DEVICE.stat()
    # As root, the emulator runs as a user that owns nothing and gets in through the group.
    permitted = found.st_mode & 0o060 == 0o060 or found.st_mode & 0o006 == 0o006
    if not (permitted if os.geteuid() == 0 else os.access(_DEVICE, os.R_OK | os.W_OK)):
        mend = f"sudo chgrp kvm {_DEVICE} && sudo chmod 660 {_DEVICE}"
        if os.geteuid() != 0:
            mend = "sudo usermod -aG kvm $USER and log in again"
        return Unavailable(f"no permission to use {_DEVICE}", mend=f"{mend}, {_INSTEAD}")
    return None


async def _futile(image: Image, limits: Limits) -> Unavailable | None:
    """Return that no machine boots with KVM, or nothing."""
    found = await asyncio.to_thread(_DEVICE.stat)
    key = f"{os.uname().release} {await emulator_version()} {found.st_mode:o} {found.st_gid}"
    if (boots := _memory().get(key)) is None:
        boots = await _boots(image, limits)
        _remember(key, boots=boots)
    reason = f"{_DEVICE} opens, but no machine boots with it here"
    return None if boots else Unavailable(reason, mend="choose accel='tcg'")


async def _boots(image: Image, limits: Limits) -> bool:
    hardware = Hardware(accel="kvm", memory_bytes=limits.memory_bytes, cpus=1, disk_bytes=limits.disk_bytes)
    terms = Terms(
        name="probe", image=image, hardware=hardware, limits=limits, boot_s=_PROBING_S, logs=cache() / "logs"
    )
    stay = Stay(terms, label="probe of KVM", boots=1)
    try:
        await stay.start()
    except Broken:
        return False
    finally:
        await stay.end()
    return True


def _file() -> Path:
    return cache() / "accelerators.json"


def _memory() -> dict[str, bool]:
    try:
        found = json.loads(_file().read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _remember(key: str, *, boots: bool) -> None:
    beside = _file().with_name(f".accelerators-{secrets.token_hex(4)}")
    with suppress(OSError):  # then it is tried again next time
        _file().parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(json.dumps({**_memory(), key: boots}))
        beside.replace(_file())
