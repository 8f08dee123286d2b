"""The life of one vLLM server: started, waited for, started again once when it dies, and ended."""

from __future__ import annotations

import asyncio
import secrets
import time
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import aiohttp
import structlog

from environments.endings import to_the_end
from environments.errors import EnvironmentFault, Leaked
from environments.hosting import host_of
from scaffold.errors import ModelFailed, SubjectUnavailable
from scaffold.models.vllm.diagnosis import cause_in, last_lines, mend_of, port_was_taken
from scaffold.models.vllm.finding import find_vllm
from scaffold.models.vllm.gpus import visible_gpus
from scaffold.models.vllm.placing import placed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from environments.hosting import Host, Program
    from scaffold.models.vllm.finding import Installation
    from scaffold.models.vllm.settings import VllmServer

__all__ = ["Running", "Service"]

PORTS_TRIED = 3
_FIRST_WORD_S, _LATER_WORD_S = 20.0, 60.0
"""When a person who waits is told how far it is."""
_ASKED_EVERY_S = 0.25
_GRACE_S = 5.0
"""For vLLM to end its workers, before they are ended."""

_diagnostics = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Running:
    """A server that answers, from its start to its end."""

    number: int
    """Of its lives, counted from 1."""
    url: str
    """Of its API, on this host."""
    key: str = field(repr=False)
    over: asyncio.Event = field(default_factory=asyncio.Event, repr=False)
    """Set when it has ended."""


class Service:
    """One server, kept running on its host; those who use it wait while it is started again."""

    def __init__(
        self,
        server: VllmServer,
        *,
        host: str = "",
        program: str | None = None,
        log: Path,
        made: Path | None = None,
    ) -> None:
        self.server = server
        self.log = log
        self._host = host
        self._program = program
        self._made = made
        self._running: Running | None = None
        self._fault: Callable[[], SubjectUnavailable | ModelFailed] | None = None
        self._turned = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to start the server, in a task of its own: one who waits may give up, others do not."""
        self._task = asyncio.create_task(self._keep(), name=f"vLLM {self.server.name}")

    async def running(self, *, after: int = 0) -> Running:
        """Wait until the server answers.

        Args:
            after: the life that is known to be over.

        Raises:
            SubjectUnavailable: it did not come to answer at all.
            ModelFailed: it is dead and will not be started again; the message quotes its log.
        """
        while True:
            running = self.running_now(after=after)
            if running is not None:
                return running
            await self._turned.wait()

    def running_now(self, *, after: int = 0) -> Running | None:
        """Return the life that answers, without waiting; None while there is none. See `running`."""
        if self._fault is not None:
            raise self._fault()
        life = self._running
        return life if life is not None and life.number > after else None

    async def stop(self) -> None:
        """End the server with everything it has started."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await to_the_end(self._task)

    async def _keep(self) -> None:
        try:
            async with host_of(self._host) as host:
                await self._live_on(host)
        except SubjectUnavailable as fault:
            self._end(partial(SubjectUnavailable, fault.reason, mend=fault.mend))
        except Leaked as fault:
            _diagnostics.error("something of vLLM is left", model=self.server.name, cause=str(fault))
            self._end(partial(SubjectUnavailable, str(fault)))
        except EnvironmentFault as fault:
            self._end(partial(SubjectUnavailable, f"vLLM cannot be run: {fault}"))
        except Exception as fault:
            self._end(partial(SubjectUnavailable, f"vLLM cannot be run: {type(fault).__name__}: {fault}"))
            raise

    async def _live_on(self, host: Host) -> None:
        self.server = await placed(self.server, host, made=self._made)
        found = await find_vllm(host, program=self._program)
        told = dict(self.server.environ).get("CUDA_VISIBLE_DEVICES")
        gpus = 0 if found.without_gpus else await visible_gpus(host, told=told)
        cause = await self._live(host, found, gpus=gpus, number=1)
        _diagnostics.warning(
            "vLLM died and is started again", model=self.server.name, cause=cause, log=str(self.log)
        )
        try:
            cause = await self._live(host, found, gpus=gpus, number=2)
        except (SubjectUnavailable, EnvironmentFault) as fault:
            said = f"{cause}; it could not be started again: {fault}"
        else:
            said = f"it died twice and is not started again: {cause} (log: {self.log})"
        self._end(partial(ModelFailed, f"the vLLM server of {self.server.name}: {said}", attempts=None))

    async def _live(self, host: Host, found: Installation, *, gpus: int, number: int) -> str:
        """Run the server once, from its start to its death, and return how it died."""
        async with self._answering(host, found, gpus=gpus, number=number) as (program, running):
            self._running = running
            self._turn()
            try:
                return f"it ended with status {await program.ended()}: {cause_in(self.log)}"
            except EnvironmentFault as fault:  # the way to it is lost, and it with the way
                return str(fault)
            finally:
                running.over.set()
                self._running = None

    @asynccontextmanager
    async def _answering(
        self, host: Host, found: Installation, *, gpus: int, number: int
    ) -> AsyncIterator[tuple[Program, Running]]:
        """Start the server and wait until it answers; on another port where the first was taken meanwhile."""
        for left in reversed(range(PORTS_TRIED)):
            async with AsyncExitStack() as stack:
                port = await host.free_port()
                key = secrets.token_urlsafe(24)
                options = self.server.options(port=port, gpus=gpus, on_cpu=found.without_gpus)
                command = (*found.serving(self.server.model), *options)
                _diagnostics.info("vLLM is started", at=host.name, command=" ".join(command))
                with self.log.open("a") as file:
                    file.write(f"$ {' '.join(command)}\n")
                program = await stack.enter_async_context(
                    host.program(
                        command, environ=self.server.variables(key=key), log=self.log, grace_s=_GRACE_S
                    )
                )
                here = await stack.enter_async_context(host.reach(port))
                running = Running(number=number, url=f"http://127.0.0.1:{here}/v1", key=key)
                try:
                    await self._answers(program, running)
                except _PortTaken:
                    if left:
                        continue
                    raise
                yield program, running
                return

    async def _answers(self, program: Program, running: Running) -> None:
        """Wait until a server that was started answers.

        Raises:
            SubjectUnavailable: it ended before, or took longer than it may.
        """
        ended = asyncio.ensure_future(program.ended())
        answers = asyncio.ensure_future(self._healthy(running))
        try:
            first, _ = await asyncio.wait(
                {ended, answers}, timeout=self.server.start_timeout_s, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            for task in (ended, answers):
                task.cancel()
            await asyncio.gather(ended, answers, return_exceptions=True)
        if answers in first:
            answers.result()
            return
        if ended not in first:
            limit = f"did not answer within {self.server.start_timeout_s:g} s"
            raise self._unavailable(limit, "give it longer, or look into its log")
        try:
            how = f"ended with status {ended.result()} before it answered"
        except EnvironmentFault as fault:
            how = f"was lost before it answered ({fault})"
        if port_was_taken(self.log):
            raise _PortTaken(self._words(how))
        raise self._unavailable(how, mend_of(self.log))

    async def _healthy(self, running: Running) -> None:
        """Ask until it serves the model under the key it was given: no other program could."""
        began, told = time.monotonic(), _FIRST_WORD_S
        timeout = aiohttp.ClientTimeout(total=10.0)
        headers = {"Authorization": f"Bearer {running.key}"}
        async with aiohttp.ClientSession(timeout=timeout, headers=headers) as session:
            while not await _serves(session, running.url, self.server.name):
                waited = time.monotonic() - began
                if waited >= told:
                    told = waited + _LATER_WORD_S
                    _diagnostics.warning(
                        "vLLM is still starting",
                        model=self.server.name,
                        seconds=round(waited),
                        says=(last_lines(self.log, count=1) or [""])[0],
                    )
                await asyncio.sleep(_ASKED_EVERY_S)
        _diagnostics.info("vLLM answers", model=self.server.name, seconds=round(time.monotonic() - began, 1))

    def _unavailable(self, how: str, mend: str) -> SubjectUnavailable:
        for line in last_lines(self.log):
            _diagnostics.error("vLLM said", line=line)
        return SubjectUnavailable(self._words(how), mend=mend)

    def _words(self, how: str) -> str:
        return f"the vLLM server of {self.server.name} {how}: {cause_in(self.log)} (log: {self.log})"

    def _end(self, fault: Callable[[], SubjectUnavailable | ModelFailed]) -> None:
        self._fault = fault
        self._turn()

    def _turn(self) -> None:
        self._turned.set()
        self._turned = asyncio.Event()


class _PortTaken(SubjectUnavailable):
    """Another program took the port between its being found free and the server's listening there."""


async def _serves(session: aiohttp.ClientSession, url: str, name: str) -> bool:
    with suppress(aiohttp.ClientError, TimeoutError, OSError, ValueError, KeyError, TypeError):
        async with session.get(f"{url}/models") as response:
            if response.status == 200:
                listed = await response.json()
                return any(model["id"] == name for model in listed["data"])
    return False
