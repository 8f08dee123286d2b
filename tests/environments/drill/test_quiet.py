"""The kill switch: quiet follows, whatever becomes of the runner, and certificates say how soon."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

import pytest

from environments import Unavailable
from environments.drill import OpenMachine, quiet
from environments.drill.quiet import EVENTS, Event, Quiet, runs_without_its_runner
from environments.drill.standing import remember, time_to_quiet
from environments.drill.traces import marked
from environments.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from environments import Lease

pytestmark = pytest.mark.anyio

MEASURED = Quiet(
    event="killed", seconds=0.31, clean_s=0.4, left=(), lease_s=2.0, when="2026-11-24T10:00:00+00:00"
)


@pytest.mark.slow
@pytest.mark.parametrize("event", EVENTS)
async def test_a_sandbox_is_quiet_after(event: Event) -> None:
    found = await runs_without_its_runner(Sandbox(), event)
    assert found.left == ()
    assert found.held, found
    if event in {"stopped", "hung"}:
        assert found.seconds is not None
        assert found.seconds > 0.5, "a machine ends when its lease is over, not when its runner is late"


@pytest.mark.usefixtures("root")
async def test_the_drill_sees_a_machine_that_outlives_its_runner(monkeypatch: pytest.MonkeyPatch) -> None:
    """And ends it: a drill leaves nothing, least of all where it fails."""
    monkeypatch.setattr(quiet, "_PATIENCE_S", 1.0)
    monkeypatch.setattr(quiet, "_CLEANING_S", 0.2)
    found = await runs_without_its_runner(OpenMachine(), "killed")
    assert found.seconds is None
    assert found.left
    assert not found.held
    assert marked("stay-") == []


async def test_a_runner_without_a_warden_has_none_to_kill() -> None:
    with pytest.raises(Unavailable, match=r"has no warden|owns nothing"):
        await runs_without_its_runner(OpenMachine(), "warden killed")


@dataclass(frozen=True)
class NeverOpens:
    name: str = "never"

    @asynccontextmanager
    async def open(self, *, label: str, seed: int) -> AsyncGenerator[Lease, None]:
        if self.name:
            raise Unavailable(f"{label} {seed} is not to be had")
        yield cast("Lease", None)


async def test_machines_that_do_not_open_are_told_in_their_own_words() -> None:
    with pytest.raises(Unavailable, match="opened no machine"):
        await runs_without_its_runner(NeverOpens(), "killed")


@pytest.mark.parametrize(
    ("seconds", "event", "held"),
    [
        (1.9, "killed", True),
        (4.1, "killed", False),
        (3.9, "stopped", True),
        (4.1, "hung", False),
        (None, "halted", False),
    ],
)
def test_what_counts_as_quiet(seconds: float | None, event: Event, held: bool) -> None:  # noqa: FBT001
    assert replace(MEASURED, seconds=seconds, event=event).held is held
    assert not replace(MEASURED, left=("a mount",)).held


def test_a_certificate_quotes_the_last_drill(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert time_to_quiet("sandbox") == "not drilled on this host"
    found = [MEASURED, replace(MEASURED, seconds=0.1), replace(MEASURED, event="stopped", seconds=2.42)]
    place = remember("sandbox", found)
    assert place == tmp_path / "redline/drills/sandbox.json"
    assert time_to_quiet("sandbox") == "0.3 s after a kill, lease + 0.4 s after a stop; drilled 2026-11-24"
    assert time_to_quiet("lab") == "not drilled on this host"
    remember("sandbox", [*found, replace(MEASURED, event="hung", seconds=None)])
    assert time_to_quiet("sandbox") == "the drill of 2026-11-24 failed: something was left after a hang"


def test_a_drill_before_the_host_was_started_anew_counts_no_more(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    place = remember("ssh://agent@host:22", [MEASURED])
    assert place.parent == tmp_path / "redline/drills"
    assert time_to_quiet("ssh://agent@host:22").startswith("0.3 s")
    place.write_text(json.dumps({**json.loads(place.read_text()), "boot_id": "another"}))
    assert time_to_quiet("ssh://agent@host:22") == "not drilled on this host"
    place.write_text("{")
    assert time_to_quiet("ssh://agent@host:22") == "not drilled on this host"
