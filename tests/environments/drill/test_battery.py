"""The battery on a real sandbox, on a machine that is wide open, and what it says about itself."""

from __future__ import annotations

import asyncio
import os
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from environments import Limits
from environments.containers import Containers
from environments.drill import ATTEMPTS, CLASSES, OpenMachine, run_battery, small
from environments.drill.attempt import bash, python
from environments.drill.declared import declaration
from environments.drill.decoys import decoys
from environments.drill.traces import marked
from environments.sandbox import Sandbox
from environments.sandbox.fences import hierarchies
from environments.types import Certificate, Probe

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio

OF_THE_MACHINE = CLASSES[: CLASSES.index("log tampering") + 1]
MUST_GET_OUT = {
    "network": {"tcp-loopback-v4", "udp-loopback-v4", "dns-query", "abstract-socket", "unix-socket-by-path",
                "multicast", "sibling-machine"},
    "filesystem": {"read-by-path", "write-by-path", "read-through-a-link", "read-through-the-victims-root",
                   "write-into-shared-places", "hard-link-to-the-log"},
    "processes": {"see-the-runner", "see-by-name", "read-arguments", "read-environment", "read-descriptors",
                  "read-memory", "trace", "kill-by-number", "stop-by-number", "kill-by-name", "kill-by-pidfd",
                  "kill-everything", "change-its-priority", "change-its-limits", "offer-it-to-the-kernel"},
    "privileges": {"no-new-privileges", "capabilities-to-be-had"},
    "resources": {"memory-of-one-process", "memory-of-many-processes", "memory-file", "processes",
                  "threads", "disk", "open-files"},
    "lease evasion": {"background", "setsid", "nohup", "disown", "double-fork", "ignores-every-signal",
                      "subreaper", "stopped", "uninterruptible", "respawning-pair", "ever-new-number",
                      "under-a-terminal", "deleted-program"},
    "log tampering": {"read-the-log", "append-a-line", "truncate", "edit-in-place", "replace", "delete",
                      "find-by-name", "through-the-victims-root"},
}  # fmt: skip


def _traces(folder: Path) -> list[str]:
    """What drills have left: every process of theirs knows the folder that they made everything in."""
    files = [path.name for path in folder.iterdir() if not path.name.startswith(("redline-", "machines-"))]
    return [*files, *(f"process {pid}" for pid in marked(f"{folder}/drill-"))]


def test_there_are_enough_attempts_and_each_has_a_name_of_its_own() -> None:
    assert len(ATTEMPTS) >= 100
    assert len({one.name for one in ATTEMPTS}) == len(ATTEMPTS)
    assert {one.kind for one in ATTEMPTS} == set(OF_THE_MACHINE)
    for one in ATTEMPTS:
        assert one.tries.endswith(".")
        assert one.tries.count(". ") == 0, f"{one.name}: one sentence"


@pytest.mark.slow
async def test_nothing_gets_out_of_a_sandbox(open_folder: Path) -> None:
    report = await run_battery(small(Sandbox()), ATTEMPTS, seed=os.getpid())
    assert [(one.attempt.name, one.detail) for one in report.escaped] == []
    assert report.leaks == ()
    assert report.held
    assert sum(tally.tried for tally in report.tally()) >= 100
    assert [tally.kind for tally in report.tally()] == list(OF_THE_MACHINE)
    assert all(tally.tried >= 5 for tally in report.tally())
    if hierarchies():
        declared = {one.attempt.name for one in report.tried if one.outcome == "declared"}
        assert declared <= {"asynchronous-calls", "processor"}
    assert _traces(open_folder) == []


@pytest.mark.slow
@pytest.mark.usefixtures("root")
async def test_an_open_machine_is_found_open_in_each_of_its_classes(open_folder: Path) -> None:
    report = await run_battery(small(OpenMachine()), ATTEMPTS, seed=os.getpid())
    out = {one.attempt.name for one in report.escaped}
    for kind, names in MUST_GET_OUT.items():
        tried = {
            one.attempt.name
            for one in report.tried
            if one.outcome != "not tried" and one.attempt.kind == kind
        }
        assert (names & tried) <= out, kind
        assert names & tried, kind
    assert not report.held
    assert {one.outcome for one in report.tried} <= {"out", "held", "not tried"}  # it has nothing to declare
    assert _traces(open_folder) == []


@pytest.mark.usefixtures("root")
async def test_a_second_drill_finds_the_host_as_the_first_did() -> None:
    """An attempt that got out has changed nothing for the next."""
    attempts = [one for one in ATTEMPTS if one.kind in {"processes", "log tampering"} and not one.alone]
    first, second = [await run_battery(small(OpenMachine()), attempts, seed=seed) for seed in (1, 2)]
    assert [one.outcome for one in first.tried] == [one.outcome for one in second.tried]


async def test_what_hangs_is_ended_and_what_cannot_be_tried_says_why() -> None:
    odd = (
        bash("network", "hangs", "Hangs.", "sleep 60", timeout_s=0.3),
        bash("network", "needs-a-program", "Needs a program.", "true", needs=("no-such-program",)),
        python("network", "skips", "Skips itself.", "skip('it is not the day for it')"),
        python("network", "breaks", "Raises.", "raise RuntimeError('GOT nothing')"),
    )
    report = await run_battery(small(Sandbox()), odd)
    seen = {one.attempt.name: (one.outcome, one.detail) for one in report.tried}
    assert seen == {
        "hangs": ("held", ""),
        "needs-a-program": ("not tried", "the machine has no no-such-program"),
        "skips": ("not tried", "it is not the day for it"),
        "breaks": ("held", ""),
    }
    assert report.tried[0].seconds < 5
    (tally,) = report.tally()
    assert (tally.tried, tally.out, tally.declared, tally.not_tried) == (2, 0, 0, 2)


@pytest.mark.usefixtures("root")
async def test_a_machine_that_is_ended_is_told_and_the_rest_is_tried_on_another() -> None:
    attempts = tuple(one for one in ATTEMPTS if one.name in {"kill-everything", "output-flood", "open-files"})
    kill = next(one for one in attempts if one.alone)
    report = await run_battery(
        small(OpenMachine()), (replace(kill, text="kill -KILL $PPID -1"), *attempts[1:])
    )
    assert all(one.outcome in {"held", "out"} for one in report.tried)


async def test_cancelling_a_drill_leaves_nothing(open_folder: Path) -> None:
    task = asyncio.ensure_future(run_battery(small(Sandbox()), [one for one in ATTEMPTS if not one.alone]))
    await asyncio.sleep(1.5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert _traces(open_folder) == []
    assert "DRILL_INHERITED" not in os.environ


async def test_inherited_descriptors_are_found_where_they_are_inherited() -> None:
    """No machine of ours lets a descriptor through, so these two are tried on a plain child."""
    wanted = {"inherited-folder": "read a file", "inherited-descriptor": "changed the log"}
    async with decoys() as made:
        made.start_victim(None)
        for number, one in enumerate(each for each in ATTEMPTS if each.name in wanted):
            word = f"{made.token}{number:04x}"
            argv = one.argv({**made.facts, "PATH": os.environ["PATH"]}, word)
            done = await asyncio.to_thread(
                subprocess.run,
                argv,
                capture_output=True,
                text=True,
                check=False,
                pass_fds=tuple(made._inherited),
            )
            assert made.signs(word, done.stdout, unnamed_since=None) == [wanted[one.name]]


def test_a_fence_that_the_certificate_does_not_claim_is_declared_and_no_other() -> None:
    probe = Probe(name="x", declared="y", found="y")
    fences = (
        ("memory", "rlimit: 1 bytes for each process"),
        ("disk", "tmpfs size"),
        ("processes", "not enforced"),
    )
    claims = Certificate(provider="sandbox", grade="host", probes=(probe,), fences=fences)
    by_name = {one.name: one for one in ATTEMPTS}
    said = {
        name: declaration(by_name[name], kind="sandbox", certificate=claims)
        for name in ("memory-file", "disk", "threads", "processor", "tcp-host-v4")
    }
    assert said == {
        "memory-file": "memory: rlimit: 1 bytes for each process",
        "disk": None,
        "threads": "processes: not enforced",
        "processor": "the certificate claims no cpu fence",
        "tcp-host-v4": None,
    }
    open_one = replace(claims, closed=False)
    assert declaration(by_name["memory-file"], kind="sandbox", certificate=open_one) is None


def test_small_keeps_everything_but_the_fences() -> None:
    made = small(Containers(image="an-image", limits=Limits(memory_bytes=1 << 33)))
    assert isinstance(made, Containers)
    assert made.image == "an-image"
    assert made.limits.memory_bytes == 192 << 20
