"""A host process that takes orders as lines and answers in lines."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING

from environments.errors import Broken
from environments.processes import Child, readable

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Dialogue", "child_of"]


class Dialogue:
    """A child whose standard input and output are ours; what it complains about is kept in memory.

    It ends with its input, and so, however this process ends, with this process.
    """

    def __init__(self, argv: Sequence[str], *, pass_fds: tuple[int, ...] = ()) -> None:
        """Start the child.

        Raises:
            FileNotFoundError: the program is not installed.
        """
        self._partial = b""
        self._lines: deque[str] = deque()
        self._turn = asyncio.Lock()
        self._orders = 0
        self._log = os.memfd_create("complaints", os.MFD_CLOEXEC)
        theirs_in, self._in = os.pipe2(os.O_CLOEXEC)
        self._out, theirs_out = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self._out, False)
        try:
            self.child = Child(argv, stdin=theirs_in, stdout=theirs_out, stderr=self._log, pass_fds=pass_fds)
        except BaseException:
            for fd in (self._in, self._out, self._log):
                os.close(fd)
            raise
        finally:
            os.close(theirs_in)
            os.close(theirs_out)

    def say(self, text: str) -> None:
        """Give an order.

        Raises:
            BrokenPipeError: the child is gone.
        """
        view = memoryview(text.encode())
        while view:
            view = view[os.write(self._in, view) :]

    async def hear(self) -> str:
        """Return the next line.

        Raises:
            Broken: the child ended instead; the fault tells why if it did.
        """
        while not self._lines:
            ended = await self._said_or_ended()
            try:
                data = os.read(self._out, 1 << 16)
            except BlockingIOError:
                data = b""
                if not ended:
                    continue
            if not data:
                raise Broken(self.complaint() or "it ended without a word", by_agent=False)
            *whole, self._partial = (self._partial + data).split(b"\n")
            self._lines.extend(line.decode(errors="replace") for line in whole)
        return self._lines.popleft()

    async def _said_or_ended(self) -> bool:
        """Wait for either; whether the child has ended. What it left behind may hold the pipe open."""
        waits = [asyncio.ensure_future(readable(self._out)), asyncio.ensure_future(self.child.wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            return waits[1].done()
        finally:
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)

    async def expect(self, word: str) -> None:
        """Wait for a line that says this.

        Raises:
            Broken: it says something else, or nothing any more.
        """
        if (line := await self.hear()) != word:
            raise Broken(line, by_agent=False)

    async def order(self, text: str) -> None:
        """Have something done; lines that follow the first belong to it.

        Raises:
            Broken: it was not done; the fault tells why.
        """
        async with self._turn:
            self._orders += 1
            number = f"{self._orders} "
            try:
                self.say(f"{number}{text}\n")
            except BrokenPipeError as error:
                raise Broken(self.complaint() or "it has ended", by_agent=False) from error
            # An order whose giver was cancelled is answered all the same: passed over here.
            while not (line := await self.hear()).startswith(number):
                pass
        if (answer := line.removeprefix(number)) != "done":
            raise Broken(answer.removeprefix("failed "), by_agent=False)

    def complaint(self) -> str:
        """Return the end of what the child printed on standard error."""
        size = os.fstat(self._log).st_size
        return os.pread(self._log, 2048, max(0, size - 2048)).decode(errors="replace").strip()

    def close(self) -> None:
        """End the child and let everything go."""
        os.close(self._in)
        self.child.close()
        os.close(self._out)
        os.close(self._log)


def child_of(pid: int, *, inside: int = 0) -> int:
    """Return the last of a chain of processes that each have one child, from `pid` down.

    Args:
        pid: a process of the host.
        inside: go no further down than to the process 1 of as many pid namespaces below that of `pid`;
            0: to the end of the chain.

    Raises:
        Broken: the chain has come apart.
    """
    try:
        while True:
            numbers = namespace_pids(pid)
            if inside and len(numbers) > inside and numbers[-1] == 1:
                return pid
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            if not children and not inside:
                return pid
            (pid,) = (int(child) for child in children)
    except (OSError, ValueError) as error:
        raise Broken(f"process {pid} of the lab ended", by_agent=False) from error


def namespace_pids(pid: int) -> list[int]:
    """Return a process's numbers, from our pid namespace inwards.

    Raises:
        OSError: there is no such process.
    """
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("NSpid:"):
            return [int(number) for number in line.split()[1:]]
    raise ProcessLookupError(pid)
