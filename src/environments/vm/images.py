"""Images on this host: where they lie, what they consist of, and whether they are what was built.

An image is a folder with a disk, a kernel, an initial RAM disk, the agent's key and a manifest. Where the
files' sizes, times and inodes are as when they were last read, they are not read again.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import secrets
import shutil
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from environments.errors import Unavailable
from environments.places import cache
from environments.vm.variants import VARIANTS, recipe

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "FILES",
    "Image",
    "all_images",
    "cache",
    "find_image",
    "images_folder",
    "load_image",
    "remove",
    "sha256",
    "verify",
]

FILES = ("disk.qcow2", "kernel", "initrd")
_MANIFEST = "manifest.json"
_SEEN = "seen.json"


@dataclass(frozen=True, kw_only=True)
class Image:
    """What stands in an image's manifest, and where the image lies."""

    folder: Path
    name: str
    recipe: str
    """Digest of what redline put into the build."""
    root: str
    """Digest of the packed root before this image's own keys were added: alike wherever it is built from
    the same packages."""
    digests: Mapping[str, str]
    """Name of each file -> its SHA-256."""
    packages: Mapping[str, str]
    """Name -> version."""
    sources: str
    """The package sources it was built from."""
    tools: Mapping[str, str]
    disk_bytes: int
    host_key: str
    """The public key that the image's sshd proves itself with, as OpenSSH writes it."""
    built: str
    """When, in UTC."""

    @property
    def digest(self) -> str:
        """Stands for the files of the image together."""
        return hashlib.sha256(json.dumps(sorted(self.digests.items())).encode()).hexdigest()

    @property
    def agent_key(self) -> Path:
        """Private key of the agent's login."""
        return self.folder / "agent_key"

    def file(self, name: str) -> Path:
        """Return where one of `FILES` lies."""
        return self.folder / name

    def save(self, folder: Path) -> None:
        """Write the manifest into a folder, which is the image's own in the end."""
        fields = {name: value for name, value in asdict(self).items() if name != "folder"}
        (folder / _MANIFEST).write_text(json.dumps(fields, indent=1, sort_keys=True) + "\n")


def images_folder() -> Path:
    """Return where images lie: `REDLINE_IMAGES`, or a folder in the user's cache."""
    place = os.environ.get("REDLINE_IMAGES")
    return Path(place).absolute() if place else cache() / "images"


def find_image(name: str) -> Image:
    """Return an image by its name or by its folder.

    Raises:
        Unavailable: there is none, or it was built by another version of redline.
    """
    folder = Path(name).absolute() if os.sep in name else images_folder() / name
    image = load_image(folder)
    if image is None:
        known = name if name in VARIANTS else "minimal"
        raise Unavailable(f"there is no image {name}", mend=f"run `redline vm build {known}`")
    if image.name in VARIANTS and image.recipe != recipe(VARIANTS[image.name]):
        raise Unavailable(
            f"the image {name} was built by another version of redline",
            mend=f"run `redline vm build {image.name} --force`",
        )
    return image


def all_images() -> list[Image]:
    """Return the images in the folder of images."""
    folders = sorted(images_folder().iterdir()) if images_folder().is_dir() else []
    return [image for folder in folders if (image := load_image(folder)) is not None]


def load_image(folder: Path) -> Image | None:
    """Return the image in a folder, whoever built it; None where there is none."""
    try:
        fields: dict[str, Any] = json.loads((folder / _MANIFEST).read_text())
        return Image(folder=folder, **fields)
    except (OSError, ValueError, TypeError):
        return None


async def verify(image: Image) -> None:
    """Make sure that the image's files are those that were built.

    Raises:
        Unavailable: one is missing or has changed.
    """
    seen = _seen(image)
    for name in FILES:
        try:
            stamp = _stamp(image.file(name))
            if seen.get(name) == stamp:
                continue
            found = await asyncio.to_thread(sha256, image.file(name))
        except OSError as error:
            raise _spoilt(image, f"{name} cannot be read: {error.strerror}") from error
        if found != image.digests[name]:
            wanted = image.digests[name]
            raise _spoilt(image, f"the SHA-256 of {name} is {found[:12]} and was {wanted[:12]} when built")
        seen[name] = stamp
        with suppress(OSError):  # of a folder that is not ours to write
            _write(image.folder / _SEEN, json.dumps(seen))


def _spoilt(image: Image, what: str) -> Unavailable:
    place = "" if image.folder.parent == images_folder() else f" --out {image.folder}"
    return Unavailable(
        f"the image {image.folder} is not what was built: {what}",
        mend=f"run `redline vm build {image.name}{place} --force`",
    )


def _stamp(path: Path) -> list[int]:
    found = path.stat()
    return [found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino]


def _seen(image: Image) -> dict[str, list[int]]:
    try:
        seen = json.loads((image.folder / _SEEN).read_text())
        return seen if isinstance(seen, dict) else {}
    except (OSError, ValueError):
        return {}


def _write(path: Path, text: str) -> None:
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        beside.write_text(text)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def sha256(path: Path) -> str:
    """Return the digest of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def remove(folder: Path) -> None:
    """Delete an image. It is gone under its name before its files are."""
    going = folder.with_name(f".going-{folder.name}-{secrets.token_hex(4)}")
    folder.rename(going)
    shutil.rmtree(going)
