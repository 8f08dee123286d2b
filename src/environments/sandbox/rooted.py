"""Files of a machine as seen from the host, with every path resolved inside the machine.

The kernel does the confining: `openat2(RESOLVE_IN_ROOT)` treats the machine's root as `/` for links and
`..` alike, so that no link an agent plants can lead the judge to a file of the host.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from environments.types import FileFact, FileId

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import PurePosixPath

__all__ = ["RootedFiles"]

_SYS_OPENAT2 = 437  # the same on every architecture
_RESOLVE_NO_MAGICLINKS = 0x02
_RESOLVE_IN_ROOT = 0x10
_libc = ctypes.CDLL(None, use_errno=True)


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


class RootedFiles:
    """Reads and writes below one directory descriptor.

    Args:
        root: descriptor of the machine's root directory; owned by this object from now on.
    """

    def __init__(self, root: int) -> None:
        self._root = root

    def close(self) -> None:
        """Let the root go."""
        os.close(self._root)

    def open(self, path: PurePosixPath, flags: int, mode: int = 0) -> int:
        """Open a path inside the machine; the caller closes the descriptor.

        Raises:
            OSError: as the kernel says.
        """
        how = _OpenHow(flags | os.O_CLOEXEC, mode, _RESOLVE_IN_ROOT | _RESOLVE_NO_MAGICLINKS)
        name = os.fsencode(path)
        for _ in range(64):
            fd = int(_libc.syscall(_SYS_OPENAT2, self._root, name, ctypes.byref(how), ctypes.sizeof(how)))
            if fd >= 0:
                return fd
            if (code := ctypes.get_errno()) != errno.EAGAIN:  # a rename raced with the walk: try again
                raise OSError(code, os.strerror(code), str(path))
        raise OSError(errno.EAGAIN, "the directory tree keeps moving", str(path))

    def read(self, path: PurePosixPath, *, limit: int) -> bytes | None:
        """Return up to `limit` bytes of a regular file; None where there is none."""
        try:
            with self._readable(path) as fd:
                if not stat.S_ISREG(os.fstat(fd).st_mode):
                    return None
                chunks, left = [], limit
                while left > 0 and (chunk := os.read(fd, min(left, 1 << 20))):
                    chunks.append(chunk)
                    left -= len(chunk)
                return b"".join(chunks)
        except OSError as error:
            if error.errno in {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENXIO}:
                return None
            raise

    @contextmanager
    def _readable(self, path: PurePosixPath) -> Iterator[int]:
        """Open for reading without following a last link or waiting for a pipe's other end.

        The machine's user may have taken its own permission away; as that user the host can grant it.
        """
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
        restore: int | None = None
        try:
            fd = self.open(path, flags)
        except PermissionError:
            restore = self.chmod(path, 0o400)
            fd = self.open(path, flags)
        try:
            yield fd
        finally:
            if restore is not None:
                os.fchmod(fd, restore)
            os.close(fd)

    def write(self, path: PurePosixPath, data: bytes, *, mode: int) -> None:
        """Write a regular file whole, making its parents."""
        self.make_directories(path.parent)
        fd = self.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(fd, view) :]
            os.fchmod(fd, mode)
        finally:
            os.close(fd)

    def make_directories(self, path: PurePosixPath) -> None:
        """Make a directory and its parents."""
        for directory in reversed([path, *path.parents]):
            try:
                os.close(self.open(directory, os.O_PATH | os.O_DIRECTORY))
            except FileNotFoundError:
                with self._directory(directory.parent) as parent:
                    os.mkdir(directory.name, 0o755, dir_fd=parent)

    def move(self, source: PurePosixPath, target: PurePosixPath) -> None:
        """Rename inside the machine, making the target's parents."""
        self.make_directories(target.parent)
        with self._directory(source.parent) as old, self._directory(target.parent) as new:
            os.rename(source.name, target.name, src_dir_fd=old, dst_dir_fd=new)

    def chmod(self, path: PurePosixPath, mode: int) -> int:
        """Set permission bits and return those before."""
        fd = self.open(path, os.O_PATH)
        try:
            before = stat.S_IMODE(os.fstat(fd).st_mode)
            Path(f"/proc/self/fd/{fd}").chmod(mode)  # fchmod does not take an O_PATH descriptor
        finally:
            os.close(fd)
        return before

    def walk(self, root: PurePosixPath, *, most: int) -> list[FileFact]:
        """Describe `root` and what is below it on the same file system; empty where it does not exist."""
        try:
            with self._directory(root.parent) as parent:
                first = self._fact(root, root.name or ".", parent)
        except (FileNotFoundError, NotADirectoryError):
            return []
        facts, left = [first], [first] if first.kind == "directory" else []
        while left and len(facts) < most:
            directory = left.pop()
            for fact in self._entries(directory.path):
                facts.append(fact)
                if fact.kind == "directory" and fact.id.device == first.id.device:
                    left.append(fact)
        return facts[:most]

    def _entries(self, directory: PurePosixPath) -> list[FileFact]:
        try:
            with self._directory(directory, os.O_RDONLY) as fd:
                found = []
                for name in sorted(os.listdir(fd)):
                    with suppress(FileNotFoundError):  # removed meanwhile
                        found.append(self._fact(directory / name, name, fd))
                return found
        except (PermissionError, FileNotFoundError):  # closed by its user, or removed meanwhile
            return []

    @contextmanager
    def _directory(self, path: PurePosixPath, flags: int = os.O_PATH) -> Iterator[int]:
        fd = self.open(path, flags | os.O_DIRECTORY)
        try:
            yield fd
        finally:
            os.close(fd)

    @staticmethod
    def _fact(path: PurePosixPath, name: str, directory: int) -> FileFact:
        seen = os.stat(name, dir_fd=directory, follow_symlinks=False)
        kind: Literal["file", "directory", "link", "other"] = "other"
        if stat.S_ISREG(seen.st_mode):
            kind = "file"
        elif stat.S_ISDIR(seen.st_mode):
            kind = "directory"
        elif stat.S_ISLNK(seen.st_mode):
            kind = "link"
        return FileFact(
            path=path,
            kind=kind,
            id=FileId(seen.st_dev, seen.st_ino),
            links=seen.st_nlink,
            size=seen.st_size,
            mode=stat.S_IMODE(seen.st_mode),
            accessed=seen.st_atime,
            changed=seen.st_ctime,
            target=os.readlink(name, dir_fd=directory) if kind == "link" else None,
        )
