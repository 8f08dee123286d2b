"""Reading and writing files with nothing but commands, so that a new kind of machine needs one method.

Only POSIX tools are used, and the files are touched as the machine's user, with that user's permissions.
"""

from __future__ import annotations

import errno
import os
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import PurePosixPath

    from environments.types import ExecResult

__all__ = ["FilesOverExec"]

_MOST_BYTES = 16 << 20
_CHUNK = 48 << 10  # within the output that any machine keeps of one command
_ERRORS = {
    "No such file or directory": errno.ENOENT,
    "Permission denied": errno.EACCES,
    "Is a directory": errno.EISDIR,
    "Not a directory": errno.ENOTDIR,
    "No space left on device": errno.ENOSPC,
    "Read-only file system": errno.EROFS,
}


class FilesOverExec(ABC):
    """Derives `read` and `write` of `Environment` from its `exec`."""

    @abstractmethod
    async def exec(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes = b"",
        cwd: PurePosixPath | None = None,
        timeout_s: float = 60.0,
    ) -> ExecResult:
        """Run a command to its end."""

    async def read(self, path: PurePosixPath) -> bytes:
        """Return a file's bytes; see `Environment.read`."""
        chunks: list[bytes] = []
        for number in range(_MOST_BYTES // _CHUNK + 1):
            where = (f"if={path}", f"skip={number}", f"bs={_CHUNK}", "count=1", "status=none")
            result = await self.exec(["dd", *where])
            if not result.ok:
                raise _error(result, path)
            chunks.append(result.stdout)
            if len(result.stdout) < _CHUNK:
                return b"".join(chunks)
        raise OSError(errno.EFBIG, f"larger than {_MOST_BYTES} bytes", str(path))

    async def write(self, path: PurePosixPath, data: bytes) -> None:
        """Write a file, making its parents; see `Environment.write`."""
        made = await self.exec(["mkdir", "-p", "--", str(path.parent)])
        if made.ok:
            made = await self.exec(["dd", f"of={path}", "status=none"], stdin=data)
        if not made.ok:
            raise _error(made, path)


def _error(result: ExecResult, path: PurePosixPath) -> OSError:
    """Return what the machine said as the exception Python would have raised."""
    said = result.stderr.decode(errors="replace").strip()
    code = next((code for words, code in _ERRORS.items() if words in said), errno.EIO)
    return OSError(code, os.strerror(code) if code != errno.EIO else said or "timed out", str(path))
