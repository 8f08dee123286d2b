"""The attendant as redline holds it: questions go out over a wire, answers come back.

A wire may break. Then a new one is opened and the questions that are still open are asked again; the far side
carries each out once. What cannot be mended ends every question with the reason.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from environments.attendant.bundle import LENGTHS, MAGIC, bundle
from environments.errors import Broken, Closed, EnvironmentFault, Rebooted

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from environments.wire import Wire

__all__ = ["Answer", "Attendant", "Hello", "Replaced"]

_START_S = 30.0
_PATIENCE_S = 30.0
"""How much longer than a question may take by itself its answer may be on its way."""


class Answer(NamedTuple):
    """What came back: fields and bytes."""

    fields: dict[str, Any]
    payload: bytes


class Replaced(Exception):
    """The attendant was killed and another one has taken its place: what it was running is gone."""


class _Mute(Broken):
    """There was a wire, but nothing at its end."""


@dataclass(frozen=True, kw_only=True)
class Hello:
    """Who the attendant is."""

    uid: int
    user: str
    home: str
    boot_id: str
    """The kernel's name for the time since it was booted."""
    pid: int
    pids: tuple[int, ...]
    """Every process that the attendant itself consists of."""
    ssh: str = ""
    """`SSH_CONNECTION`: client address and port, server address and port, as the machine sees them."""


@dataclass(kw_only=True)
class _Question:
    frame: bytes
    quiet: bool = False
    """Who asks is not who must hear of a machine that was started anew."""
    answer: asyncio.Future[Answer] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Attendant:
    """One attendant.

    Args:
        open_wire: opens a wire with `BOOT_COMMAND` running at its far end; raises an `EnvironmentFault` when
            there is none to be had.
        address: names the machine in messages.
        booted: the far side is running already and waits for questions, as in a machine restored from a
            saved state. A provider may set it before a wire is opened anew.
        keep: lets the far side outlive its wire under this unguessable name.
        linger_s: how long it waits for a new wire then.
        rlimits: names of resources -> limits of the attendant and of what it runs.
    """

    def __init__(
        self,
        open_wire: Callable[[], Awaitable[Wire]],
        *,
        address: str,
        booted: bool = False,
        keep: str = "",
        linger_s: float = 0.0,
        rlimits: Mapping[str, int] | None = None,
    ) -> None:
        self.booted = booted
        self.address = address
        self._open_wire = open_wire
        self._settings = {"keep": keep, "linger_s": linger_s, "rlimits": dict(rlimits or {})}
        self._wire: Wire | None = None
        self._hello: Hello | None = None
        self._questions: dict[int, _Question] = {}
        self._settled: list[int] = []
        # At random, because a far side that was saved with its machine has answered another runner before.
        self._count = secrets.randbits(48)
        self._reading: asyncio.Task[None] | None = None
        self._fault: EnvironmentFault | None = None
        self._rebooted: Rebooted | None = None

    @property
    def hello(self) -> Hello:
        """Who answers at present."""
        assert self._hello is not None, "not started"
        return self._hello

    async def start(self) -> Hello:
        """Open the first wire.

        Raises:
            EnvironmentFault: no wire is to be had, or nothing answers at its end.
        """
        self._wire = await self._connect()
        self._reading = asyncio.create_task(self._keep_reading(), name=f"attendant of {self.address}")
        self._hello = await self._greet()
        return self._hello

    async def aclose(self) -> None:
        """End the far side and what it runs."""
        await self._stop_reading()
        if self._wire is not None:
            with suppress(OSError, TimeoutError):
                async with asyncio.timeout(1):
                    await self._wire.send(_frame({"do": "leave"}))
                    while await self._wire.receive():  # closed at once, the wire might not carry it any more
                        pass
            self._wire.close()

    async def let_go(self) -> None:
        """Leave the far side as it is: it goes with its machine."""
        await self._stop_reading()
        if self._wire is not None:
            self._wire.close()

    def lose(self) -> None:
        """End the questions that are open: who was asked is gone, and another is there instead."""
        self._settle(list(self._questions.values()), Replaced())

    async def _stop_reading(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait({self._reading})
        self._fail(Closed("the machine was frozen or closed"))

    async def ask(
        self, what: str, payload: bytes = b"", *, takes_s: float = 60.0, quiet: bool = False, **fields: object
    ) -> Answer:
        """Ask and wait for the answer.

        Args:
            what: name of a verb.
            payload: bytes that go with it.
            takes_s: how long the answer may take to be found. The far side counts; here patience is added.
            quiet: leaves it to the next question to hear that the machine was started anew.
            fields: arguments of the verb.

        Raises:
            OSError: the verb failed as a system call does.
            Broken, LinkLost: the machine is not to be asked any more.
            Rebooted: the machine was started anew. Said once.
            Replaced: the attendant was killed, with what it was running.
        """
        self._check(quiet=quiet)
        self._count += 1
        number = self._count
        settled, self._settled = self._settled, []
        frame = _frame({**fields, "id": number, "do": what, "settled": settled}, payload)
        question = _Question(frame=frame, quiet=quiet)
        self._questions[number] = question
        try:
            await self._send(question.frame)
            answer = await self._wait(question, takes_s)
        except asyncio.CancelledError:
            self._withdraw(number)
            raise
        finally:
            del self._questions[number]
            self._settled.append(number)
        if (code := answer.fields.get("errno")) is not None:
            raise OSError(code, answer.fields["error"], fields.get("path"))
        return answer

    def _check(self, *, quiet: bool) -> None:
        if self._fault is not None:
            raise self._fault
        if (rebooted := self._rebooted) is not None:
            if not quiet:
                self._rebooted = None
            raise rebooted

    async def _wait(self, question: _Question, takes_s: float) -> Answer:
        """Wait; when nothing comes in time, try another wire before giving up."""
        for last in (False, True):
            done, _ = await asyncio.wait({question.answer}, timeout=takes_s + _PATIENCE_S)
            if done:
                return question.answer.result()
            if not last and self._wire is not None:
                self._wire.close()
            takes_s = 0.0
        raise Broken(f"{self.address}: the machine does not answer", by_agent=False)

    def _withdraw(self, number: int) -> None:
        """Have a question's command ended. Nobody waits for it: this runs while being cancelled."""
        task = asyncio.ensure_future(self._send(_frame({"do": "kill", "target": number})))
        task.add_done_callback(lambda done: done.exception() if not done.cancelled() else None)

    async def _send(self, frame: bytes) -> None:
        if self._wire is not None:
            with suppress(OSError):  # the reader notices too, and sends it again
                await self._wire.send(frame)

    async def _connect(self) -> Wire:
        wire = await self._open_wire()
        if self.booted:
            return wire
        try:
            async with asyncio.timeout(_START_S):
                with suppress(OSError):  # what it says before it goes is worth more
                    await wire.send(bundle(self._settings))
                await self._hear_magic(wire)
        except (OSError, TimeoutError) as error:
            wire.close()
            raise _Mute(f"{self.address}: the machine did not answer: {error}", by_agent=False) from error
        except BaseException:
            wire.close()
            raise
        return wire

    async def _connect_again(self) -> Wire:
        """Get another wire. One that is there but breaks before anything answers may break again."""
        clock = asyncio.get_running_loop().time
        deadline, pause_s = clock() + _PATIENCE_S, 0.05
        while True:
            try:
                return await self._connect()
            except _Mute:
                if clock() > deadline:
                    raise
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, 2.0)

    async def _hear_magic(self, wire: Wire) -> None:
        said = b""
        while not said.endswith(MAGIC):
            chunk = await wire.receive()
            if not chunk:
                raise _Mute(f"{self.address}: {_complaint(said)}", by_agent=False)
            said += chunk

    async def _greet(self) -> Hello:
        self._count += 1
        question = _Question(frame=_frame({"id": self._count, "do": "hello"}))
        self._questions[self._count] = question
        number = self._count
        try:
            await self._send(question.frame)
            async with asyncio.timeout(_START_S):
                fields = dict((await question.answer).fields)
        except TimeoutError:
            raise Broken(f"{self.address}: the machine did not answer", by_agent=False) from None
        finally:
            del self._questions[number]
        fields.pop("id")
        return Hello(**{**fields, "pids": tuple(fields["pids"])})

    async def _keep_reading(self) -> None:
        """Deliver answers; when the wire ends, get another one."""
        mending: asyncio.Task[None] | None = None
        try:
            while True:
                await self._read_on()
                if mending is not None and not mending.done():
                    mending.cancel()
                try:
                    self._wire = await self._connect_again()
                except EnvironmentFault as fault:
                    return self._fail(fault)
                mending = asyncio.create_task(self._resume(), name=f"mending {self.address}")
        finally:
            if mending is not None:
                mending.cancel()
                await asyncio.wait({mending})

    async def _read_on(self) -> None:
        buffer = bytearray()
        assert self._wire is not None
        with suppress(OSError):
            while chunk := await self._wire.receive():
                buffer += chunk
                for answer in _complete(buffer):
                    question = self._questions.get(answer.fields["id"])
                    if question is not None and not question.answer.done():
                        question.answer.set_result(answer)
        self._wire.close()

    async def _resume(self) -> None:
        """Find out who is there now, and ask again what is still open."""
        before, opened = self._hello, list(self._questions.values())
        try:
            self._hello = await self._greet()
        except EnvironmentFault:
            if self._wire is not None:
                self._wire.close()
            return
        if before is None:
            return
        if self._hello.boot_id != before.boot_id:
            self._rebooted = Rebooted(f"{self.address}: the machine was started anew meanwhile")
            if self._settle(opened, self._rebooted):
                self._rebooted = None
        elif self._hello.pid != before.pid:
            self._settle(opened, Replaced())
        else:
            for question in opened:
                if not question.answer.done():
                    await self._send(question.frame)

    def _settle(self, questions: list[_Question], fault: Exception) -> int:
        told = 0
        for question in questions:
            if not question.answer.done():
                question.answer.set_exception(fault)
                told += not question.quiet
        return told

    def _fail(self, fault: EnvironmentFault) -> None:
        self._fault = fault
        self._settle(list(self._questions.values()), fault)


def _frame(fields: Mapping[str, object], payload: bytes = b"") -> bytes:
    text = json.dumps(fields).encode()
    return LENGTHS.pack(len(text), len(payload)) + text + payload


def _complete(buffer: bytearray) -> list[Answer]:
    """Take the whole frames off a buffer."""
    found = []
    while len(buffer) >= LENGTHS.size:
        text, payload = LENGTHS.unpack_from(buffer)
        end = LENGTHS.size + text + payload
        if len(buffer) < end:
            break
        fields = json.loads(buffer[LENGTHS.size : LENGTHS.size + text])
        found.append(Answer(fields, bytes(buffer[LENGTHS.size + text : end])))
        del buffer[:end]
    return found


def _complaint(said: bytes) -> str:
    text = " ".join(said.decode(errors="replace").split())[-200:]
    if "python3" in text:
        return f"python3 is missing on the machine ({text}); install it"
    return f"the machine closed the wire{f' and said: {text}' if text else ''}"
