"""A machine with one hole: the drill finds that hole, and nothing else."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import half_open
import pytest

from environments.drill import ATTEMPTS, Attempt, Report, run_battery, small
from environments.sandbox import Sandbox

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

ADDRESSES = {"loopback-v4", "loopback-v6", "host-v4", "host-v6", "local-v6"}


async def _out(attempts: list[Attempt]) -> set[str]:
    report = await run_battery(small(Sandbox()), attempts, seed=os.getpid())
    return _names(report, "out")


def _names(report: Report, outcome: str) -> set[str]:
    return {one.attempt.name for one in report.tried if one.outcome == outcome}


async def test_the_hosts_network(monkeypatch: pytest.MonkeyPatch, gentle: list[Attempt]) -> None:
    half_open.sharing_the_network(monkeypatch)
    out = await _out(gentle)
    calls = {f"{kind}-{address}" for kind in ("tcp", "udp") for address in ADDRESSES}
    sure = {"tcp-loopback-v4", "udp-loopback-v4", "dns-query", "multicast", "abstract-socket"}
    assert sure <= out
    # Which of these there are depends on the host's network.
    assert out - sure <= calls | {"metadata-route", "default-route", "name-server-with-a-way-to-it"}


@pytest.mark.usefixtures("root")
async def test_the_hosts_processes(monkeypatch: pytest.MonkeyPatch, gentle: list[Attempt]) -> None:
    with half_open.sharing_processes(monkeypatch):
        report = await run_battery(small(Sandbox()), gentle, seed=os.getpid())
    out = _names(report, "out")
    processes = {
        "see-the-runner", "see-by-name", "read-arguments", "kill-by-number", "stop-by-number", "kill-by-name",
        "kill-by-pidfd", "change-its-priority", "change-its-limits", "offer-it-to-the-kernel",
    }  # fmt: skip
    assert out == processes
    # Nothing ends with a first process here, but the warden ends what lives on, and tells of it.
    assert any("process" in leak for leak in report.leaks)


async def test_a_folder_of_the_host(
    monkeypatch: pytest.MonkeyPatch, gentle: list[Attempt], open_folder: Path
) -> None:
    half_open.sharing_a_folder(monkeypatch, open_folder)
    out = await _out(gentle)
    read = {"read-by-path", "read-through-a-link", "read-through-any-root", "read-the-log"}
    write = {
        "write-by-path",
        "append-a-line",
        "truncate",
        "edit-in-place",
        "replace",
        "delete",
        "find-by-name",
    }
    assert out == {*read, *write, "unix-socket-by-path"}


async def test_capabilities(monkeypatch: pytest.MonkeyPatch, gentle: list[Attempt]) -> None:
    half_open.keeping_capabilities(monkeypatch)
    out = await _out(gentle)
    kinds = {one.kind for one in gentle if one.name in out}
    assert {"capabilities", "capabilities-to-be-had", "chroot", "other-namespaces"} <= out
    assert kinds <= {"privileges", "filesystem"}


async def test_no_control_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then memory is limited for each process alone. The certificate says so, and the drill shows it."""
    half_open.without_groups(monkeypatch)
    attempts = [one for one in ATTEMPTS if one.fence is not None]
    report = await run_battery(small(Sandbox()), attempts, seed=os.getpid())
    assert _names(report, "out") == set()
    assert {"memory-of-many-processes", "memory-file"} <= _names(report, "declared")
    assert {"memory-of-one-process", "processes", "threads", "disk", "open-files", "output-flood"} <= _names(
        report, "held"
    )


async def test_the_keyring_of_the_session(monkeypatch: pytest.MonkeyPatch, gentle: list[Attempt]) -> None:
    half_open.sharing_the_keyring(monkeypatch)
    report = await run_battery(small(Sandbox()), [one for one in gentle if one.kind == "privileges"])
    tried = {one.attempt.name for one in report.tried if one.outcome != "not tried"}
    if "session-keyring" not in tried:
        pytest.skip("there are no keyrings here")
    assert _names(report, "out") == {"session-keyring"}
