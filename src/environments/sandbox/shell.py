"""Runs commands in a machine through runners that its process 1 keeps (see supervisor.bash).

A runner is a shell that stays: a command costs a fork inside the machine and nothing on the host but a
few small files in the machine's memory. Runners are added when commands run at the same time. The agent
may kill them; the next command gets a new one.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import shlex
import signal
import stat
import time
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from environments.errors import Broken, Closed
from environments.sandbox.identity import acting_as
from environments.types import ExecResult

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import PurePosixPath

    from environments.sandbox.procfs import MachineProc

__all__ = ["Shell"]

_SHELL = ("bash", "-c")
_ITS_OWN = ("$$", "{$", "$PPID", "{PPID")
"""What a fork of the runner would answer with the runner's own: a text that asks for it gets a new shell."""
_PATIENCE_S = 5.0
_MOST_RUNNERS = 32


class _Output(NamedTuple):
    kept: bytes
    dropped: int


class _NeverStarted(Exception):
    """The runner ended before it took the command up."""


class _Runner:
    """One runner as the host holds it: a pipe of requests in, a pipe of answers out."""

    def __init__(self, requests: int, answers: int) -> None:
        self.pid = 0
        self._requests = requests
        self._answers = answers
        self._partial = b""
        self._expected = b""
        self._waiting: asyncio.Future[str] | None = None
        asyncio.get_running_loop().add_reader(answers, self._readable)

    async def answer(self, expected: str) -> str:
        """Wait for the line that begins with `expected` and return the rest of it.

        The agent can write into the pipe, being the same user: other lines are passed over.

        Raises:
            ConnectionError: the runner was killed.
        """
        self._expected = expected.encode() + b" "
        self._waiting = asyncio.get_running_loop().create_future()
        return await self._waiting

    def ask(self, line: str) -> None:
        os.write(self._requests, line.encode())

    def alive(self) -> bool:
        """Whether the runner is there now; the loop may not yet have been told that it is not."""
        if not self.closed:
            with suppress(BlockingIOError):
                self._readable()
        return not self.closed

    def _readable(self) -> None:
        data = os.read(self._answers, 4096)
        *lines, self._partial = (self._partial[-4096:] + data).split(b"\n")
        waiting = self._waiting if self._waiting is not None and not self._waiting.done() else None
        if waiting is not None:
            for line in lines:
                if line.startswith(self._expected):
                    waiting.set_result(line.removeprefix(self._expected).decode(errors="replace"))
                    return
        if not data:
            self.close()
            if waiting is not None:
                waiting.set_exception(ConnectionError("the runner was killed"))

    def close(self) -> None:
        if self._answers >= 0:
            asyncio.get_running_loop().remove_reader(self._answers)
            os.close(self._answers)
            os.close(self._requests)
            self._answers = self._requests = -1

    @property
    def closed(self) -> bool:
        return self._answers < 0


class Shell:
    """The commands of one machine.

    Args:
        session: descriptor of the machine's /run/session; owned by this object from now on.
        supervisor: write end of the pipe that process 1 reads.
        proc: the machine's process table, to end what ran out of time.
        owner: host uid and gid of the machine's user.
        output_bytes: how much of each output stream of a command is kept.
        agents_doing: asked when the machine does not answer: whether the agent brought that about.
    """

    def __init__(
        self,
        session: int,
        supervisor: int,
        proc: MachineProc,
        *,
        owner: tuple[int, int],
        output_bytes: int,
        agents_doing: Callable[[], bool],
    ) -> None:
        self._session = session
        self._supervisor = supervisor
        self._proc = proc
        self._owner = owner
        self._output_bytes = output_bytes
        self._agents_doing = agents_doing
        self._idle: list[_Runner] = []
        self._runners: list[_Runner] = []
        self._slots = asyncio.Semaphore(_MOST_RUNNERS)
        self._count = 0
        self._started = 0
        self._open = True
        self._closed = False

    @property
    def runner_pids(self) -> frozenset[int]:
        """The runners, as numbered inside the machine."""
        return frozenset(runner.pid for runner in self._runners if not runner.closed)

    async def run(
        self, argv: Sequence[str], *, stdin: bytes, cwd: PurePosixPath | None, timeout_s: float
    ) -> ExecResult:
        """Run one command to its end or its time limit.

        Raises:
            Broken: the machine does not start commands any more.
            Closed: the agent's hands are off.
        """
        if not self._open:
            raise Closed("the machine was frozen or closed")
        script = _script(argv, cwd)
        async with self._slots:
            while True:
                runner = await self._ready_runner()
                self._count += 1
                try:
                    return await self._run(runner, str(self._count), script, stdin, timeout_s)
                except _NeverStarted:  # the runner was dying of an earlier command
                    continue
                finally:
                    if not runner.closed and self._open:
                        self._idle.append(runner)

    async def run_ours(self, argv: Sequence[str], *, stdin: bytes, timeout_s: float) -> ExecResult:
        """Run a command of redline's own, beside the agent's and also with its hands off.

        It has a runner to itself, whose processes are not the agent's to use up: asked to start one where no
        process can be had, process 1 would end, and the machine with it.

        Raises:
            Broken: the machine does not start commands any more.
            Closed: the machine was closed.
        """
        if self._closed:
            raise Closed("the machine was closed")
        runner = await self._new_runner(ours=True)
        try:
            result = await self._run(runner, secrets.token_hex(8), _script(argv, None), stdin, timeout_s)
        except _NeverStarted:
            raise Broken("a command was not taken up", by_agent=self._agents_doing()) from None
        finally:
            if not self._closed:
                self._abandon(runner)
        await self._see_gone({runner.pid})
        return result

    async def _run(
        self, runner: _Runner, number: str, script: bytes, stdin: bytes, timeout_s: float
    ) -> ExecResult:
        started = time.perf_counter()
        timed_out = False
        answer: asyncio.Future[str] | None = None
        try:
            self._put(f"{number}.run", script)
            if stdin:
                self._put(f"{number}.stdin", stdin)
            answer = asyncio.ensure_future(runner.answer(number))
            runner.ask(f"{number} {f'{number}.stdin' if stdin else '/dev/null'}\n")
            done, _ = await asyncio.wait({answer}, timeout=timeout_s)
            if not done:
                timed_out = True
                await self._end(runner, answer)
            if answer.done() and runner.closed and not self._exists(f"{number}.out"):
                raise _NeverStarted
            status = _status_of(answer)
            out, err = self._take(f"{number}.out"), self._take(f"{number}.err")
        except OSError as error:
            raise Broken(
                f"a command could not be handed over: {error}", by_agent=self._agents_doing()
            ) from error
        except asyncio.CancelledError:
            self._abandon(runner)
            raise
        finally:
            if answer is not None:
                answer.cancel()
            self._forget(number)
        return ExecResult(
            status=status,
            stdout=out.kept,
            stderr=err.kept,
            timed_out=timed_out,
            dropped=out.dropped + err.dropped,
            seconds=time.perf_counter() - started,
        )

    async def _end(self, runner: _Runner, answer: asyncio.Future[str]) -> None:
        """Kill what the runner is running, and the runner if that does not make it answer."""
        self._proc.signal_groups(set(self._proc.children(runner.pid)), signal.SIGKILL)
        done, _ = await asyncio.wait({answer}, timeout=_PATIENCE_S)
        if not done:
            self._abandon(runner)
            answer.cancel()

    def _abandon(self, runner: _Runner) -> None:
        """End a runner and its command at once, without waiting: this runs while being cancelled."""
        with suppress(OSError):
            self._proc.signal_groups({runner.pid, *self._proc.children(runner.pid)}, signal.SIGKILL)
        runner.close()

    async def _ready_runner(self) -> _Runner:
        while self._idle:
            if (runner := self._idle.pop()).alive():
                return runner
        return await self._new_runner()

    async def _new_runner(self, *, ours: bool = False) -> _Runner:
        """Have process 1 start a runner, over two named pipes that lose their names at once."""
        self._runners = [known for known in self._runners if not known.closed]
        self._started += 1
        name = str(self._started)
        pipes = (f"{name}.in", f"{name}.status")
        runner: _Runner | None = None
        try:
            with acting_as(self._owner):
                for pipe in pipes:
                    os.mkfifo(pipe, 0o600, dir_fd=self._session)
            flags = os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW
            answers = os.open(pipes[1], os.O_RDONLY | flags, dir_fd=self._session)
            # Read and write, because opening for writing alone fails until the reader is there.
            requests = os.open(pipes[0], os.O_RDWR | flags, dir_fd=self._session)
            runner = _Runner(requests, answers)
            self._runners.append(runner)
            os.write(self._supervisor, f"serve {name}{' ours' * ours}\n".encode())
            async with asyncio.timeout(_PATIENCE_S):
                runner.pid = int(await runner.answer("ready"))
        except (OSError, TimeoutError, ValueError) as error:
            if runner is not None:
                runner.close()
            raise Broken(
                "the machine does not start commands any more", by_agent=self._agents_doing()
            ) from error
        except asyncio.CancelledError:
            if runner is not None:
                runner.close()
            raise
        finally:
            for pipe in pipes:
                with suppress(OSError):
                    os.unlink(pipe, dir_fd=self._session)
        return runner

    def _exists(self, name: str) -> bool:
        with suppress(FileNotFoundError):
            os.stat(name, dir_fd=self._session, follow_symlinks=False)
            return True
        return False

    def _put(self, name: str, data: bytes) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with acting_as(self._owner):
            fd = os.open(name, flags, 0o600, dir_fd=self._session)
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(fd, view) :]
        finally:
            os.close(fd)

    def _take(self, name: str) -> _Output:
        """Read an output file, head and tail where it is long. The agent may have put anything there."""
        try:
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            fd = os.open(name, flags, dir_fd=self._session)
        except OSError:
            return _Output(b"", 0)
        try:
            seen = os.fstat(fd)
            if not stat.S_ISREG(seen.st_mode):
                return _Output(b"", 0)
            most = self._output_bytes
            if seen.st_size <= most:
                return _Output(os.read(fd, most), 0)
            half = most // 2
            tail = os.pread(fd, most - half, seen.st_size - (most - half))
            return _Output(os.pread(fd, half, 0) + tail, seen.st_size - most)
        finally:
            os.close(fd)

    def _forget(self, number: str) -> None:
        """Remove a command's files. What its background processes still print keeps no name."""
        for kind in ("run", "out", "err", "stdin"):
            with suppress(OSError):
                os.unlink(f"{number}.{kind}", dir_fd=self._session)

    async def freeze(self) -> None:
        """End the runners and what they run, and see them gone; take no command from now on."""
        self._open = False
        pids = set(self.runner_pids)
        for pid in list(pids):
            pids.update(self._proc.children(pid))
        self._proc.signal_groups(pids, signal.SIGKILL)
        await self._see_gone(pids)

    async def _see_gone(self, leaders: set[int]) -> None:
        """Wait until what was killed has ended: until then it would be taken for something of the agent's."""
        deadline = time.monotonic() + _PATIENCE_S
        while not self._closed and self._proc.lives_in(leaders):
            if time.monotonic() > deadline:
                return
            await asyncio.sleep(0.001)

    def close(self) -> None:
        """Let everything go."""
        self._open, self._closed = False, True
        for runner in self._runners:
            runner.close()
        os.close(self._session)


def _script(argv: Sequence[str], cwd: PurePosixPath | None) -> bytes:
    """Return the shell text of a command; the runner's fork already is the bash of most `bash -c TEXT`.

    Raises:
        ValueError: an argument holds a NUL byte, which no process can be given.
    """
    if any("\0" in argument for argument in argv):
        raise ValueError("an argument holds a NUL byte")
    place = f"cd -- {shlex.quote(str(cwd))} || exit 126\n" if cwd is not None else ""
    if tuple(argv[:2]) == _SHELL and len(argv) == 3 and not any(own in argv[2] for own in _ITS_OWN):
        return (place + argv[2]).encode(errors="surrogateescape")
    return (place + "exec " + shlex.join(argv)).encode(errors="surrogateescape")


def _status_of(answer: asyncio.Future[str]) -> int:
    """Exit status as answered; a killed runner took its command along."""
    if not answer.done() or answer.cancelled() or answer.exception() is not None:
        return 128 + signal.SIGKILL
    with suppress(ValueError):
        return int(answer.result())
    return 128 + signal.SIGKILL
