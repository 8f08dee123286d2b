"""A Podman for tests: its own storage, images made of this host's packages, and no registry in sight.

On a host that mounts both generations of control groups it runs in a mount namespace without the second one.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["EMPTY", "IMAGE", "NoEngine", "engine"]

IMAGE, EMPTY = "localhost/redline-test:1", "localhost/redline-empty:1"
_PROBE = ("run", "--rm", "--network=none", "--ulimit=nofile=64:64", "--ulimit=nproc=64:64", "--rootfs")
_SUPERFLUOUS = re.compile(r"/usr/share/(doc|man|locale|info|perl|lintian|bash-completion)/|/usr/lib/.*/perl")
_PASSWD = b"root:x:0:0:root:/root:/bin/bash\nagent:x:1000:1000::/home/agent:/bin/bash\n"


class NoEngine(Exception):
    """Why no engine runs here."""


@contextmanager
def engine() -> Iterator[Path]:
    """Make a program called podman that works here, and the images.

    Raises:
        NoEngine: there is none, or it starts nothing.
    """
    podman = shutil.which("podman")
    if podman is None or shutil.which("dpkg-query") is None:
        raise NoEngine("podman is not installed, or this is no Debian")
    folder = Path(tempfile.mkdtemp(prefix="engine-"))
    holder = None
    try:
        program = _wrapper(folder, podman, prefix="")
        if "hybrid mode" in _complaint(program, folder) and os.geteuid() == 0:
            holder = _namespace_without_unified_groups()
            program = _wrapper(folder, podman, prefix=f"nsenter --target {holder.pid} --mount -- ")
        if "/no-such-program" not in (said := _complaint(program, folder)):
            raise NoEngine(f"podman starts no container: {said.strip()}")
        _import(program, IMAGE, _tree(folder), "ENTRYPOINT /bin/false", "ENV OF_IMAGE=kept")
        _import(program, EMPTY, _empty(folder))
        yield program
    finally:
        _wait_for_the_last(str(folder))
        if holder is not None:
            holder.communicate(timeout=10)
        # Podman makes it a mount point, for its own reasons.
        subprocess.run(["umount", folder / "root/overlay"], check=False, capture_output=True)
        shutil.rmtree(folder, ignore_errors=True)


def _wait_for_the_last(folder: str) -> None:
    """Podman cleans up after a container in a process of its own, which would make the folder anew."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and any(folder in line for line in _command_lines()):
        time.sleep(0.1)


def _command_lines() -> Iterator[str]:
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            with suppress(OSError):
                yield (process / "cmdline").read_text(errors="replace")


def _wrapper(folder: Path, podman: str, *, prefix: str) -> Path:
    places = f"--root {folder}/root --runroot {folder}/run --tmpdir {folder}/own"
    program = folder / "podman"
    program.write_text(f'#!/bin/sh\nexec {prefix}{podman} {places} "$@"\n')
    program.chmod(0o755)
    return program


def _complaint(program: Path, folder: Path) -> str:
    empty = folder / "empty"
    empty.mkdir(exist_ok=True)
    argv = [str(program), *_PROBE, str(empty), "/no-such-program"]
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60).stderr


def _namespace_without_unified_groups() -> subprocess.Popen[bytes]:
    """Start a process that keeps a mount namespace open until its input ends."""
    text = "umount /sys/fs/cgroup/unified && echo ready && exec cat"
    argv = ["unshare", "--mount", "--propagation=private", "sh", "-c", text]
    holder = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdout is not None
    if holder.stdout.readline() != b"ready\n":
        raise NoEngine("both generations of control groups are mounted, and the second cannot be hidden")
    return holder


def _import(program: Path, image: str, tree: Path, *changes: str) -> None:
    options = [f"--change={change}" for change in changes]
    subprocess.run([program, "import", *options, tree, image], check=True, capture_output=True, timeout=120)


def _empty(folder: Path) -> Path:
    path = folder / "empty.tar"
    with tarfile.open(path, "w") as tar:
        tar.add("/etc/hostname", arcname="etc/image")
    return path


def _tree(folder: Path) -> Path:
    """Pack what the essential packages, python3 and procps consist of."""
    paths = {"/bin", "/sbin", "/lib", "/lib64", "/etc/ld.so.cache"}
    for package in _with_dependencies("python3", "procps"):
        for line in _dpkg("dpkg", "--listfiles", package).splitlines():
            if line.startswith("/") and line != "/." and not _SUPERFLUOUS.match(line):
                paths.add(str(Path(line).parent.resolve() / Path(line).name))
    for link in Path("/etc/alternatives").iterdir():
        if str(link.resolve()) in paths:
            paths |= {str(link), f"/usr/bin/{link.name}"}
    path = folder / "tree.tar"
    with tarfile.open(path, "w") as tar:
        for name in sorted(paths):
            if os.path.lexists(name):
                tar.add(name, arcname=name[1:], recursive=False)
        entry = tarfile.TarInfo("etc/passwd")
        entry.size = len(_PASSWD)
        tar.addfile(entry, io.BytesIO(_PASSWD))
    return path


def _with_dependencies(*wanted: str) -> list[str]:
    form = "${Package}\t${Essential}\t${Pre-Depends}, ${Depends}\t${Provides}\n"
    needs: dict[str, list[str]] = {}
    gives: dict[str, str] = {}
    left = list(wanted)
    for line in _dpkg("dpkg-query", "--show", "--showformat", form).splitlines():
        name, essential, depends, provides = line.split("\t")
        needs[name] = [word for word in _names(depends.replace("|", ",")) if word]
        for word in (name, *_names(provides)):
            gives.setdefault(word, name)
        if essential == "yes":
            left.append(name)
    seen: set[str] = set()
    while left:
        package = gives.get(left.pop())
        if package is not None and package not in seen:
            seen.add(package)
            left += needs[package]
    return sorted(seen)


def _names(text: str) -> list[str]:
    return [re.split(r"[ :(]", word.strip())[0] for word in text.split(",")]


def _dpkg(*argv: str) -> str:
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout
