"""How long until nothing moves on a machine whose runner is gone: the drill of the kill switch.

A runner of the drill's own opens a machine and leaves services on it that ignore every signal. Then something
happens to the runner, and what is left is watched from outside.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import pickle
import secrets
import shutil
import signal
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from environments.drill.household import Household, namespaces
from environments.drill.traces import end_marked
from environments.errors import Unavailable
from environments.processes import Child

if TYPE_CHECKING:
    from collections.abc import Iterator

    from environments.protocols import Provider

__all__ = ["EVENTS", "Event", "Quiet", "runs_without_its_runner"]

Event = Literal["killed", "stopped", "hung", "warden killed", "halted"]
EVENTS: dict[Event, str] = {
    "killed": "the runner is killed",
    "stopped": "the runner is stopped (SIGSTOP)",
    "hung": "the runner hangs in a loop",
    "warden killed": "the warden is killed",
    "halted": "the warden is told to halt, as `redline halt` does",
}
_LEASE_S = 2.0
"""Of the drill's own runners, so that stopping one is not waited for long."""
_OPENING_S = 240.0
_PATIENCE_S = 30.0
_CLEANING_S = 15.0
_KEPT = ("HOME", "XDG_CACHE_HOME", "REDLINE_IMAGES", "USER")


@dataclass(frozen=True, kw_only=True)
class Quiet:
    """What followed one event."""

    event: Event
    seconds: float | None
    """Until the machine's last process was gone; None where one was still there after half a minute."""
    clean_s: float | None
    """Until nothing at all was left; None where something was."""
    left: tuple[str, ...]
    lease_s: float
    """Within which the runner had to renew its lease."""
    when: str
    """ISO 8601, UTC."""

    @property
    def held(self) -> bool:
        """Quiet within the lease and two seconds, and nothing left."""
        return self.seconds is not None and self.seconds <= self.lease_s + 2.0 and not self.left


async def runs_without_its_runner(provider: Provider, event: Event) -> Quiet:
    """Let something happen to a runner that has a machine open, and watch what becomes of the machine.

    Whatever becomes of it, nothing of it is left when this returns.

    Raises:
        Unavailable: machines of this kind cannot be had on this host, or there is no warden to kill.
    """
    token, before = secrets.token_hex(8), namespaces()
    with _folder() as folder, _runner(folder, provider, token) as runner:
        await _until_ready(runner, folder)
        household = Household(
            runner.pid, token=token, folders=(folder / "tmp", folder / "run"), before=before
        )
        try:
            return await _watch(runner, household, event)
        finally:
            with suppress(ProcessLookupError):
                os.kill(runner.pid, signal.SIGCONT)
            runner.kill()
            household.end()
            end_marked(token)


async def _watch(runner: Child, household: Household, event: Event) -> Quiet:
    began = time.monotonic()
    _bring_about(event, runner, household)
    quiet = await household.quiet(_PATIENCE_S)
    seconds = time.monotonic() - began if quiet else None
    if quiet:
        # Everything is gone already, and now the runner goes too: at once, or in order where it still can.
        with suppress(ProcessLookupError):
            os.kill(runner.pid, signal.SIGKILL if event in {"stopped", "hung"} else signal.SIGINT)
    left = await household.left(_CLEANING_S)
    return Quiet(
        event=event,
        seconds=seconds,
        clean_s=None if left else time.monotonic() - began,
        left=tuple(left),
        lease_s=_LEASE_S,
        when=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _bring_about(event: Event, runner: Child, household: Household) -> None:
    match event:
        case "killed":
            os.kill(runner.pid, signal.SIGKILL)
        case "stopped":
            os.kill(runner.pid, signal.SIGSTOP)
        case "hung":
            os.kill(runner.pid, signal.SIGUSR1)
        case "warden killed":
            os.kill(household.warden(), signal.SIGKILL)
        case "halted":
            os.kill(household.warden(), signal.SIGTERM)


@contextmanager
def _folder() -> Iterator[Path]:
    """Make a place for everything that the runner makes, so that what is left there is its own."""
    folder = Path(tempfile.mkdtemp(prefix="drill-"))
    try:
        folder.chmod(0o755)
        (folder / "tmp").mkdir(mode=0o755)
        (folder / "run").mkdir(mode=0o700)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _runner(folder: Path, provider: Provider, token: str) -> Iterator[Child]:
    order = json.dumps({"provider": base64.b64encode(pickle.dumps(provider)).decode(), "token": token})
    places = {
        "TMPDIR": str(folder / "tmp"),
        "XDG_RUNTIME_DIR": str(folder / "run"),
        "REDLINE_LEASE_S": str(_LEASE_S),
    }
    given = {**places, **{name: os.environ[name] for name in _KEPT if name in os.environ}}
    code = f"import sys; sys.path[:] = {sys.path!r}; from environments.drill.runner import main; main()"
    reads, writes = os.pipe2(os.O_CLOEXEC)
    said = os.open(folder / "said", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        command = ["env", *(f"{name}={value}" for name, value in given.items()), sys.executable, "-c", code]
        child = Child(command, stdin=reads, stdout=said, stderr=said)
        try:
            os.close(reads)
            os.write(writes, f"{order}\n".encode())
            yield child
        finally:
            child.close()
    finally:
        os.close(writes)
        os.close(said)


async def _until_ready(runner: Child, folder: Path) -> None:
    """Wait until the machine is open and its services run.

    Raises:
        Unavailable: the runner has ended instead.
    """
    deadline = time.monotonic() + _OPENING_S
    while "ready\n" not in (said := (folder / "said").read_text(errors="replace")):
        if runner.returncode is not None or time.monotonic() > deadline:
            lines = said.strip().splitlines() or ["it said nothing"]
            raise Unavailable(f"the drill's runner opened no machine: {lines[-1]}")
        await asyncio.sleep(0.02)
