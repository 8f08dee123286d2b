"""An image built once for this host, and real machines that boot it under software emulation."""

from __future__ import annotations

import asyncio
import fcntl
import re
import shutil
from typing import TYPE_CHECKING

import pytest

from environments import Limits, Unavailable
from environments.vm import VirtualMachine
from environments.vm.build import Build
from environments.vm.images import cache, find_image
from environments.vm.variants import VARIANTS

if TYPE_CHECKING:
    from environments.vm.images import Image

__all__ = ["image", "machines"]

UNREACHABLE = re.compile(
    "could not resolve|could not connect|unable to connect|failed to fetch", re.IGNORECASE
)
NEEDED = ("qemu-system-x86_64", "qemu-img", "mmdebstrap", "mke2fs")
LIMITS = Limits(memory_bytes=384 << 20, processes=64, disk_bytes=96 << 20)


@pytest.fixture(scope="session")
def image() -> Image:
    if missing := [program for program in NEEDED if shutil.which(program) is None]:
        pytest.skip(f"{missing[0]} is not installed")
    folder = cache()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".tests.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            return find_image("minimal")
        except Unavailable:
            try:
                return asyncio.run(Build(variant=VARIANTS["minimal"]).run(tell=lambda _: None))
            except Unavailable as fault:
                if UNREACHABLE.search(str(fault)):
                    pytest.skip(f"the package archive cannot be reached: {fault}")
                raise


@pytest.fixture(scope="session")
def machines(image: Image) -> VirtualMachine:
    return VirtualMachine(image=str(image.folder), accel="tcg", limits=LIMITS)
