"""What every host of the study's own programs does, whichever kind it is."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING

import pytest
from hosted_programs import EVERYWHERE, asked, gone, lines, pids, until

from environments import Unavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from environments.hosting import Host

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("does", EVERYWHERE, ids=lambda does: does.__name__)
async def test_it_does_what_is_tried_on_every_kind(
    does: Callable[[Host, Path], Awaitable[None]], host: Host, tmp_path: Path
) -> None:
    await does(host, tmp_path)


async def test_a_command_is_run_and_what_it_did_is_told(host: Host) -> None:
    found = await host.look(["sh", "-c", "echo out; echo err >&2; exit 3"])
    assert (found.status, found.stdout, found.stderr) == (3, b"out\n", b"err\n")
    missing = await host.look(["no-such-program"])
    assert missing.status == 127
    assert "no-such-program" in missing.text
    assert (await host.look(["sleep", "1000"], timeout_s=0.1)).timed_out


async def test_a_log_is_added_to(host: Host, tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("before\n")
    async with host.program(["echo", "after"], environ={}, log=log) as program:
        assert await program.ended() == 0
    assert lines(log) == ["before", "after"]


@pytest.mark.parametrize(("line", "status"), [("exit 7", 7), ("kill -SEGV $$", 139)])
async def test_the_exit_status_is_told_to_all_who_ask(
    host: Host, tmp_path: Path, line: str, status: int
) -> None:
    async with host.program(["sh", "-c", line], environ={}, log=tmp_path / "log") as program:
        assert set(await asyncio.gather(program.ended(), program.ended())) == {status}
        assert await program.ended() == status


async def test_a_program_that_is_not_there_is_named(host: Host, tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=f"{host.name}: no-such-program cannot be started"):
        async with host.program(["no-such-program"], environ={}, log=tmp_path / "log"):
            pytest.fail("it was started")


async def test_a_port_where_nothing_listens_is_closed(host: Host) -> None:
    async with host.reach(await host.free_port()) as here:
        with pytest.raises(OSError, match=r"refused|reset|closed|Remote end"):
            await asyncio.to_thread(asked, here, "")


async def test_what_it_leaves_behind_is_ended_before_its_end_is_told(host: Host, tmp_path: Path) -> None:
    log = tmp_path / "log"
    marker = f"/var/tmp/left-{secrets.token_hex(8)}"  # noqa: S108  of the host, which may be another
    left = f"setsid sh -c 'echo pid $$; echo >{marker}; exec sleep 1000' &"
    line = f"{left} until [ -e {marker} ]; do sleep 0.02; done; rm {marker}"
    async with host.program(["sh", "-c", line], environ={}, log=log) as program:
        assert await program.ended() == 0
        assert len(pids(log)) == 1
        assert await gone(host, pids(log))


async def test_one_that_does_not_heed_is_killed_after_its_grace(host: Host, tmp_path: Path) -> None:
    log = tmp_path / "log"
    deaf = ["sh", "-c", "trap 'echo no' TERM; echo pid $$; while :; do sleep 0.05; done"]
    async with host.program(deaf, environ={}, log=log, grace_s=1.0) as program:
        await until(lambda: bool(pids(log)))
    assert await program.ended() == 137
    assert "no" in lines(log)
    assert await gone(host, pids(log))


async def test_a_torrent_of_output_neither_holds_it_up_nor_is_lost(host: Host, tmp_path: Path) -> None:
    log = tmp_path / "log"
    argv = ["sh", "-c", "head -c 3000000 /dev/zero; echo through"]
    async with host.program(argv, environ={}, log=log) as program:
        assert await program.ended() == 0
    assert log.read_bytes() == bytes(3_000_000) + b"through\n"
