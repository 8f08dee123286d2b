"""Builds images from the distribution's own packages; nothing ready-made is downloaded.

Everything is made in a folder beside the final one and renamed at the end, so an image is there whole or not
at all. The packed root depends on the packages alone; the keys of this one image are added after it.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import secrets
import shlex
import shutil
import tarfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from environments.attendant import BOOT_COMMAND
from environments.errors import Unavailable
from environments.processes import Child, output_of
from environments.vm.images import FILES, Image, images_folder, remove, sha256
from environments.vm.sources import sources_of_host
from environments.vm.variants import guest_file, recipe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from environments.vm.sources import Sources
    from environments.vm.variants import Variant

__all__ = ["Build", "sweep"]

_EPOCH = 1_700_000_000
"""No file of an image is younger, so that its root does not depend on when it was built."""
_ROOM_BYTES = 3 << 30
_LIMIT_S = 3600.0
_UNDER_WAY = ".building-"
_PROGRAMS = {
    "mmdebstrap": "mmdebstrap",
    "mke2fs": "e2fsprogs",
    "qemu-img": "qemu-utils",
    "unshare": "util-linux",
    "ssh-keygen": "openssh-client",
    "tar": "tar",
}
_SLIM = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/info/*", "/usr/share/locale/*")


@dataclass(frozen=True, kw_only=True)
class Build:
    """One image to be built."""

    variant: Variant
    out: Path | None = None
    """The image's folder. None: of the variant's name, in the folder of images."""
    sources: Sources | None = None
    """None: as this host is configured."""

    @property
    def folder(self) -> Path:
        """Where the image will lie."""
        return (self.out or images_folder() / self.variant.name).absolute()

    def plan(self) -> list[list[str]]:
        """Return the commands that the image is made with, as they would be run.

        Raises:
            Unavailable: this host has no package sources for it.
        """
        place = self.folder.with_name(f"{_UNDER_WAY}{self.folder.name}")
        return [self._bootstrap(place), self._disk(place), self._pack()]

    def sources_text(self) -> str:
        """Return the package sources as lines of sources.list."""
        return self._sources().text(self.variant.components)

    async def run(self, *, tell: Callable[[str], None]) -> Image:
        """Build, in place of an image that is there already.

        Args:
            tell: is given a line as each step begins.

        Raises:
            Unavailable: something is missing here, or a step failed; the message says what it printed.
        """
        missing = [package for program, package in _PROGRAMS.items() if shutil.which(program) is None]
        if missing:
            raise Unavailable("images cannot be built here", mend=f"sudo apt-get install {' '.join(missing)}")
        if self.folder.exists() and not (self.folder / "manifest.json").is_file():
            raise Unavailable(f"{self.folder} is there and is no image", mend="give --out another folder")
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        sweep(self.folder.parent)
        if shutil.disk_usage(self.folder.parent).free < _ROOM_BYTES:
            mend = "make room, or set REDLINE_IMAGES to a folder on another disk"
            raise Unavailable(f"less than {_ROOM_BYTES >> 30} GiB are free for the image", mend=mend)
        with _place(self.folder) as place:
            image = await self._make(place, tell)
            for name in ("root.tar", "disk.raw", "build.log", "sources.list", ".lock"):
                (place / name).unlink(missing_ok=True)
            for name in ("keys", "redline"):
                shutil.rmtree(place / name)
            if self.folder.exists():
                remove(self.folder)
            place.rename(self.folder)
        return image

    async def _make(self, place: Path, tell: Callable[[str], None]) -> Image:
        (place / "sources.list").write_text(self.sources_text())
        self._lay_out(place / "redline")
        tell(f"installing {len(self.variant.packages)} packages and what they need")
        await _step(self._bootstrap(place), place)
        root = await asyncio.to_thread(sha256, place / "root.tar")
        packages = await asyncio.to_thread(_packages, place / "root.tar")
        tell("making the disk")
        keys = place / "keys"
        keys.mkdir(mode=0o700)
        for name in ("host_key", "agent_key"):
            await _step(
                ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(keys / name)], place
            )
        await _step(self._disk(place), place)
        await _step(self._pack(), place)
        (keys / "agent_key").rename(place / "agent_key")
        (place / "disk.qcow2").chmod(0o600)
        tell("reading it back")
        image = Image(
            folder=self.folder,
            name=self.variant.name,
            recipe=recipe(self.variant),
            root=root,
            digests={name: await asyncio.to_thread(sha256, place / name) for name in FILES},
            packages=packages,
            sources=self.sources_text(),
            tools={program: await _version(program) for program in ("mmdebstrap", "qemu-img")},
            disk_bytes=self.variant.disk_bytes,
            host_key=" ".join((keys / "host_key.pub").read_text().split()[:2]),
            built=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        image.save(place)
        return image

    def _sources(self) -> Sources:
        return self.sources or sources_of_host()

    def _lay_out(self, own: Path) -> None:
        """Write the files of ours that go into the root; what is done with them there is customize.sh's."""
        own.mkdir()
        for source, name in (
            ("init.sh", "init"),
            ("customize.sh", "customize"),
            ("sshd_config", "sshd_config"),
        ):
            (own / name).write_text(guest_file(source))
        (own / "attendant").write_text(BOOT_COMMAND + "\n")

    def _bootstrap(self, place: Path) -> list[str]:
        hooks = [
            shlex.join(["copy-in", str(place / "redline"), "/usr/lib"]),
            *(f'chroot "$1" sh -c {shlex.quote(command)}' for command in self.variant.commands),
            'chroot "$1" sh /usr/lib/redline/customize',
        ]
        # Killed at whatever moment, its processes end with the first of them, and its mounts with the last.
        alone = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--"]
        return [
            "env",
            f"SOURCE_DATE_EPOCH={_EPOCH}",
            *([f"TMPDIR={place}", *alone] if os.geteuid() == 0 else []),
            *("mmdebstrap", "--variant=minbase", "--format=tar"),
            *(f"--dpkgopt=path-exclude={pattern}" for pattern in _SLIM),
            '--aptopt=APT::Install-Recommends "false"',
            '--aptopt=APT::Sandbox::User "root"',  # else whose some folders are depends on chance
            f"--components={','.join(self.variant.components)}",
            f"--include={','.join(self.variant.packages)}",
            *(f"--customize-hook={hook}" for hook in hooks),
            *(self._sources().suite, str(place / "root.tar"), str(place / "sources.list")),
        ]

    def _disk(self, place: Path) -> list[str]:
        mapped = ["unshare", "--user", "--map-root-user", "--map-auto", "--"] if os.geteuid() != 0 else []
        size = str(self.variant.disk_bytes)
        script = guest_file("disk.sh")
        return [*mapped, "sh", "-c", script, "disk.sh", str(place / "root.tar"), str(place / "keys"), size]

    @staticmethod
    def _pack() -> list[str]:
        return ["qemu-img", "convert", "-O", "qcow2", "disk.raw", "disk.qcow2"]


def sweep(parent: Path) -> None:
    """Remove what builds that were killed have left in a folder."""
    for place in parent.glob(f"{_UNDER_WAY}*"):
        with suppress(OSError), (place / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(place)


@contextmanager
def _place(folder: Path) -> Iterator[Path]:
    """Make the folder that is built in; it goes unless it was renamed."""
    place = folder.with_name(f"{_UNDER_WAY}{folder.name}-{secrets.token_hex(4)}")
    place.mkdir()
    try:
        with (place / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


async def _step(argv: Sequence[str], place: Path) -> None:
    """Run one command in the folder that is built in.

    Raises:
        Unavailable: it failed.
    """
    log = place / "build.log"
    with log.open("wb") as file:
        child = Child(["env", f"--chdir={place}", *argv], stdout=file.fileno(), stderr=file.fileno())
        try:
            async with asyncio.timeout(_LIMIT_S):
                status = await child.wait()
        finally:
            child.close()
    if status != 0:
        lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
        blamed = (
            [line for line in lines if line.startswith(("E:", "mke2fs:", "tar:"))]
            or lines[-1:]
            or ["no reason"]
        )
        mend = "see that the package sources can be reached, and that the disk has room"
        program = next((word for word in argv if word in _PROGRAMS and word != "unshare"), "mke2fs")
        raise Unavailable(
            f"the image could not be built: {program}: {'; '.join(blamed[:3])[:400]}", mend=mend
        )


async def _version(program: str) -> str:
    _, said = await output_of([program, "--version"])
    return said.splitlines()[0] if said else "unknown"


def _packages(root: Path) -> dict[str, str]:
    """Read the names and versions of a packed root's packages."""
    with tarfile.open(root) as tar:
        file = tar.extractfile("./var/lib/dpkg/status")
        assert file is not None
        text = file.read().decode()
    found: dict[str, str] = {}
    for stanza in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in stanza.splitlines() if ": " in line and line[0] != " ")
        if fields.get("Status", "").endswith(" installed"):
            found[fields["Package"]] = fields["Version"]
    return dict(sorted(found.items()))
