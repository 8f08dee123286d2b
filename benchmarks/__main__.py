"""Measures redline beside a floor and a peer, and holds the ratios against their targets.

    python -m benchmarks      takes a few minutes, asks nothing, prints Markdown tables

Everything that is compared is measured in turn, in one run, on one machine.
"""

from __future__ import annotations

import asyncio
import os
import platform
import shutil
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median
from typing import TYPE_CHECKING

from benchmarks import calls, machines_ssh, machines_vm, sandboxes, warden
from benchmarks.player import Job, Played, Player
from benchmarks.tables import Row, table
from environments import Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

FLOOR = "floor: aiohttp, `sh -c`, JSONL"
PEER = "LangGraph's prebuilt agent, ChatOpenAI"
BARE = "bare bubblewrap, one bash"


@dataclass(frozen=True, kw_only=True)
class _Players:
    """One process for each loop."""

    redline: Player
    floor: Player
    peer: Player


@contextmanager
def _players() -> Iterator[_Players]:
    with ExitStack() as stack:
        server = stack.enter_context(
            subprocess.Popen(
                [sys.executable, "-m", "benchmarks.mock_server"], stdout=subprocess.PIPE, text=True
            )
        )
        stack.callback(server.kill)
        assert server.stdout is not None
        base_url = f"http://127.0.0.1:{int(server.stdout.readline())}/v1"
        players = _Players(
            redline=stack.enter_context(Player("redline", base_url)),
            floor=stack.enter_context(Player("floor", base_url)),
            peer=stack.enter_context(Player("peer", base_url)),
        )
        for player in (players.redline, players.floor, players.peer):
            player.play(Job(trials=1, steps=5, latency_s=0))
        yield players


def _one_trial(players: _Players) -> str:
    job = Job(trials=1, steps=50, latency_s=0)
    ours, floor = _in_turn(7, job, players.redline, players.floor)
    floor_ms = [1e3 * played.wall_s / job.steps for played in floor]
    return table(
        "one trial of 50 steps, no latency",
        FLOOR,
        [
            Row(
                what="a step, sandbox opened, judged and closed",
                unit="ms",
                values=[1e3 * played.wall_s / job.steps for played in ours],
                beside=floor_ms,
                at_most=2,
            ),
            Row(
                what="a step, the agent's part alone",
                unit="ms",
                values=[1e3 * played.episode_s / job.steps for played in ours],
                beside=floor_ms,
            ),
            Row(
                what="CPU of a step, all processes",
                unit="ms",
                values=[1e3 * played.cpu_s / job.steps for played in ours],
                beside=[1e3 * played.cpu_s / job.steps for played in floor],
                at_most=2,
            ),
        ],
    )


def _load(players: _Players) -> str:
    job = Job(trials=100, steps=20, latency_s=0.2)
    ours, floor, peer = _in_turn(3, job, players.redline, players.floor, players.peer)
    rates = [[job.trials * job.steps / played.wall_s for played in runs] for runs in (ours, floor, peer)]
    title, what, unit = "100 trials of 20 steps at once, 200 ms latency", "steps a second", "/s"
    cpu = [1e3 * played.cpu_s / job.trials / job.steps for played in ours]
    cpu_floor = [1e3 * played.cpu_s / job.trials / job.steps for played in floor]
    return "\n\n".join(
        (
            table(
                title,
                FLOOR,
                [
                    Row(what=what, unit=unit, values=rates[0], beside=rates[1], at_least=0.85),
                    Row(what="CPU of a step, all processes", unit="ms", values=cpu, beside=cpu_floor),
                ],
            ),
            table(title, PEER, [Row(what=what, unit=unit, values=rates[0], beside=rates[2], at_least=3.5)]),
        )
    )


def _growth(players: _Players) -> str:
    (runs,) = _in_turn(9, Job(trials=1, steps=1000, latency_s=0), players.redline)

    def row(what: str, unit: str, steps: Sequence[Sequence[float]], last: int, at_most: float) -> Row:
        return Row(
            what=f"{what}, steps {last - 19} to {last}",
            unit=unit,
            values=[fmean(of_run[last - 20 : last]) for of_run in steps],
            beside=[fmean(of_run[:20]) for of_run in steps],
            at_most=at_most,
        )

    cpu = [[1e3 * step for step in played.cpu_by_step_s] for played in runs]
    size = [played.bytes_by_step for played in runs]
    return table(
        "growth, one trial of 1,000 steps",
        "steps 1 to 20",
        [
            row("CPU", "ms", cpu, 200, 1.25),
            row("recorded", "bytes", size, 200, 1.25),
            row("CPU", "ms", cpu, 1000, 1.5),
            row("recorded", "bytes", size, 1000, 1.5),
        ],
    )


def _sandbox() -> str:
    opened, opened_bare, closed, closed_bare = asyncio.run(sandboxes.openings(15))
    rows = [
        Row(what="open", unit="ms", values=_ms(opened), beside=_ms(opened_bare), at_most=3),
        Row(what="close", unit="ms", values=_ms(closed), beside=_ms(closed_bare)),
    ]
    for what, (argv, line) in sandboxes.COMMANDS.items():
        ours, bare = asyncio.run(sandboxes.commands(argv, line, times=200))
        rows.append(
            Row(what=f"run {what}", unit="ms", values=_batches(ours), beside=_batches(bare), at_most=2)
        )
    idle = asyncio.run(sandboxes.idle_megabytes(10))
    rows.append(Row(what="one idle sandbox, resident", unit="MB", values=[idle], at_most=10))
    return table("sandbox", BARE, rows)


def _command_line() -> str:
    program = Path(sys.executable).with_name("redline")
    seconds = []
    for _ in range(7):
        began = time.perf_counter()
        subprocess.run([program, "--help"], check=True, stdout=subprocess.DEVNULL)
        seconds.append(time.perf_counter() - began)
    return table("command line", "", [Row(what="redline --help", unit="s", values=seconds, at_most=0.4)])


def _ssh() -> str:
    if shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin") is None:
        raise Unavailable("sshd is not installed", mend="sudo apt-get install openssh-server")
    return machines_ssh.measured()


def _vm() -> str:
    return asyncio.run(machines_vm.measure())


def _in_turn(times: int, job: Job, *players: Player) -> list[list[Played]]:
    """Let the players do the same job one after the other, `times` over."""
    rounds = [[player.play(job) for player in players] for _ in range(times)]
    return [list(runs) for runs in zip(*rounds, strict=True)]


def _ms(seconds: Sequence[float]) -> list[float]:
    return [1e3 * value for value in seconds]


def _batches(seconds: Sequence[float], size: int = 20) -> list[float]:
    """Return the medians of batches, in milliseconds: single commands are too short for a shared machine."""
    return [1e3 * median(seconds[first : first + size]) for first in range(0, len(seconds), size)]


def _main() -> None:
    print(f"{platform.platform()}, Python {platform.python_version()}, {os.cpu_count()} cores")
    print(f"load before the run: {os.getloadavg()[0]:.2f}\n")
    with _players() as players:
        for part in (_one_trial, _load, _growth):
            print(part(players), end="\n\n", flush=True)
    print(_sandbox(), end="\n\n", flush=True)
    print(warden.measured(), end="\n\n", flush=True)
    print(calls.measured(), end="\n\n", flush=True)
    print(_command_line(), end="\n\n", flush=True)
    for kind in (_ssh, _vm):
        try:
            print(kind(), end="\n\n", flush=True)
        except Unavailable as fault:
            print(f"not measured: {fault}", flush=True)


if __name__ == "__main__":
    _main()
