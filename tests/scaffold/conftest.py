"""A machine to act on: the host itself, in a folder of its own. Trusted commands only."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import anyio
import pytest

from environments import ExecResult

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from environments import Environment


@dataclass(frozen=True, kw_only=True)
class Folder:
    home: PurePosixPath
    name: str = "folder"

    async def exec(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes = b"",
        cwd: PurePosixPath | None = None,
        timeout_s: float = 60.0,
    ) -> ExecResult:
        began = time.monotonic()
        child = await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=cwd or self.home,
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(timeout_s):
                out, err = await child.communicate(stdin)
        except BaseException as end:
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            await child.wait()
            if not isinstance(end, TimeoutError):
                raise
            return ExecResult(status=137, timed_out=True, seconds=time.monotonic() - began)
        assert child.returncode is not None
        return ExecResult(status=child.returncode % 256, stdout=out, stderr=err)

    async def read(self, path: PurePosixPath) -> bytes:
        return await anyio.Path(self.home / path).read_bytes()

    async def write(self, path: PurePosixPath, data: bytes) -> None:
        target = anyio.Path(self.home / path)
        await target.parent.mkdir(parents=True, exist_ok=True)
        await target.write_bytes(data)


@pytest.fixture
def machine(tmp_path: Path) -> Environment:
    return Folder(home=PurePosixPath(tmp_path))
