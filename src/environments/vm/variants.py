"""What images there are to build, and from which packages."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import TYPE_CHECKING

from environments.attendant import BOOT_COMMAND

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["VARIANTS", "Variant", "guest_file", "recipe"]

_GUEST_FILES = ("init.sh", "sshd_config", "customize.sh", "disk.sh")


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One kind of image."""

    name: str
    summary: str
    packages: tuple[str, ...]
    components: tuple[str, ...] = ("main",)
    disk_bytes: int = 4 << 30
    """Size of the disk as the machine sees it. The file holds only what is used."""
    commands: tuple[str, ...] = ()
    """Shell commands run in the new root at the end, with the host's network."""
    tried: bool = True
    """Whether it was ever built and booted by those who wrote it."""


_EVERY = (
    *("openssh-server", "python3", "procps", "iproute2", "kmod", "e2fsprogs", "perl-base"),
    *("util-linux", "less", "file", "curl", "initramfs-tools"),
)
VARIANTS: Mapping[str, Variant] = MappingProxyType(
    {
        "minimal": Variant(
            name="minimal",
            summary="Debian with sshd, Python and the usual tools, and an init that boots quickly",
            packages=(*_EVERY, "linux-image-cloud-amd64"),
        ),
        "gpu": Variant(
            name="gpu",
            summary="minimal with NVIDIA's driver and vLLM, for a GPU that is handed through",
            packages=(
                *_EVERY,
                *("linux-image-amd64", "linux-headers-amd64", "build-essential", "python3-venv"),
                *("nvidia-driver", "nvidia-kernel-dkms", "firmware-misc-nonfree", "nvidia-smi"),
            ),
            components=("main", "contrib", "non-free", "non-free-firmware"),
            disk_bytes=64 << 30,
            commands=("python3 -m venv /opt/vllm", "/opt/vllm/bin/pip install --no-cache-dir 'vllm>=0.11'"),
            tried=False,
        ),
    }
)


def guest_file(name: str) -> str:
    """Return the text of a file that goes into images or makes them."""
    return resources.files("environments.vm").joinpath("guest", name).read_text()


@cache
def recipe(variant: Variant) -> str:
    """Return the digest of everything of ours that a variant is made from."""
    parts = {
        "variant": {k: v for k, v in asdict(variant).items() if k not in {"summary", "tried"}},
        "attendant": BOOT_COMMAND,
        "files": {file: guest_file(file) for file in _GUEST_FILES},
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
