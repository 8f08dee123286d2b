"""A real attendant at the end of a real pipe: what it does, and what it survives."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
from contextlib import asynccontextmanager, suppress
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import pytest

from environments import Closed, Limits, LinkLost, Rebooted
from environments.attendant import BOOT_COMMAND, Attendant, AttendedControl, AttendedEnvironment

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

pytestmark = pytest.mark.anyio


class PipeWire:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def send(self, data: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(data)
        await self.process.stdin.drain()

    async def receive(self) -> bytes:
        assert self.process.stdout is not None
        return await self.process.stdout.read(1 << 16)

    def close(self) -> None:
        with suppress(ProcessLookupError):
            self.process.kill()


class Pipes:
    """Opens wires to this very host, until told not to."""

    def __init__(self, *, command: str = BOOT_COMMAND) -> None:
        self.command = command
        self.opened: list[PipeWire] = []
        self.well = True

    async def __call__(self) -> PipeWire:
        if not self.well:
            raise LinkLost("cut for good")
        self.opened.append(
            PipeWire(
                await asyncio.create_subprocess_exec(
                    "sh", "-c", self.command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
                )
            )
        )
        return self.opened[-1]

    async def cut(self) -> None:
        self.opened[-1].close()
        await self.opened[-1].process.wait()

    async def aclose(self) -> None:
        for wire in self.opened:
            wire.close()
            await wire.process.wait()


@asynccontextmanager
async def attended(
    pipes: Pipes, *, output_bytes: int = 64 << 10
) -> AsyncGenerator[tuple[AttendedEnvironment, Attendant], None]:
    attendant = Attendant(pipes, address="pipe", keep=secrets.token_hex(8), linger_s=20)
    await attendant.start()
    try:
        yield (
            AttendedEnvironment(attendant, name="pipe", limits=Limits(output_bytes=output_bytes)),
            attendant,
        )
    finally:
        await attendant.aclose()
        await pipes.aclose()


async def test_a_lost_wire_loses_no_command(tmp_path: Path) -> None:
    pipes = Pipes()
    async with attended(pipes) as (env, _):
        count = f"echo once >>{tmp_path}/times; sleep 0.6; echo done"
        running = [asyncio.create_task(env.exec(["sh", "-c", count])) for _ in range(5)]
        await asyncio.sleep(0.3)
        await pipes.cut()
        results = await asyncio.gather(*running)
        assert [result.stdout for result in results] == [b"done\n"] * 5
        assert (tmp_path / "times").read_text() == "once\n" * 5, "a command was carried out twice"
        assert len(pipes.opened) == 2


async def test_an_answer_that_was_on_its_way_comes_again() -> None:
    pipes = Pipes()
    async with attended(pipes, output_bytes=8 << 20) as (env, _):
        for _ in range(10):
            running = asyncio.create_task(env.exec(["head", "-c", "4000000", "/dev/zero"]))
            await asyncio.sleep(0.01 * secrets.randbelow(4))
            await pipes.cut()
            assert len((await running).stdout) == 4000000


async def test_a_killed_attendant_takes_its_commands_along_and_is_replaced() -> None:
    pipes = Pipes()
    async with attended(pipes) as (env, attendant):
        running = asyncio.create_task(env.exec(["sleep", "2"]))
        await asyncio.sleep(0.3)
        os.kill(attendant.hello.pid, signal.SIGKILL)
        assert (await running).status == 137
        assert (await env.exec(["echo", "again"])).stdout == b"again\n"


async def test_a_wire_that_cannot_be_had_ends_everything() -> None:
    pipes = Pipes()
    async with attended(pipes) as (env, attendant):
        running = asyncio.create_task(env.exec(["sleep", "2"]))
        await asyncio.sleep(0.2)
        pipes.well = False
        await pipes.cut()
        with pytest.raises(LinkLost, match="cut for good"):
            await running
        with pytest.raises(LinkLost):
            await env.exec(["true"])
        os.kill(attendant.hello.pid, signal.SIGKILL)


async def test_a_machine_that_was_started_anew_says_so_once(tmp_path: Path) -> None:
    boot = tmp_path / "boot_id"
    boot.write_text("first")
    bound = f"mount --bind {boot} /proc/sys/kernel/random/boot_id && {BOOT_COMMAND}"
    pipes = Pipes(command=f"exec unshare --mount --map-root-user sh -c {_quoted(bound)}")
    async with attended(pipes) as (env, attendant):
        assert attendant.hello.boot_id == "first"
        boot.write_text("second")
        running = asyncio.create_task(env.exec(["sleep", "2"]))
        await asyncio.sleep(0.2)
        os.kill(attendant.hello.pid, signal.SIGKILL)
        with pytest.raises(Rebooted):
            await running
        assert (await env.exec(["echo", "well"])).stdout == b"well\n"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


async def test_what_a_login_shell_prints_is_passed_over() -> None:
    pipes = Pipes(command=f"echo Welcome to this machine; {BOOT_COMMAND}")
    async with attended(pipes) as (env, _):
        assert (await env.exec(["echo", "hi"])).stdout == b"hi\n"


async def test_every_login_shell_understands_the_command() -> None:
    for shell in ("bash", "sh"):
        pipes = Pipes(command=f"exec {shell} -c {_quoted(BOOT_COMMAND)}")
        async with attended(pipes) as (env, _):
            assert (await env.exec(["echo", shell])).stdout == f"{shell}\n".encode()


async def test_a_machine_without_python_says_so() -> None:
    pipes = Pipes(command=BOOT_COMMAND.replace("python3", "python3-is-not-here") + " 2>&1")
    with pytest.raises(Exception, match="python3 is missing on the machine"):
        async with attended(pipes):
            pass
    await pipes.aclose()


async def test_limits_are_those_of_everything_it_runs() -> None:
    pipes = Pipes()
    attendant = Attendant(pipes, address="pipe", rlimits={"NOFILE": 77})
    await attendant.start()
    env = AttendedEnvironment(attendant, name="pipe", limits=Limits())
    assert (await env.exec(["sh", "-c", "ulimit -n"])).stdout == b"77\n"
    await attendant.aclose()
    await pipes.aclose()


async def test_freezing_ends_commands_and_leaves_services(tmp_path: Path) -> None:
    pipes = Pipes()
    async with attended(pipes) as (env, attendant):
        roots = Attendant(pipes, address="pipe")
        await roots.start()
        control = AttendedControl(roots, agent=env, user="root", grade="root_shell")
        noted = tmp_path / "service"
        await env.exec(["bash", "-c", f"while :; do echo tick; sleep 0.1; done & echo $! >{noted}"])
        running = asyncio.create_task(env.exec(["sleep", "60"]))
        await asyncio.sleep(0.2)
        await control.freeze()
        assert (await running).status == 137
        with pytest.raises(Closed):
            await env.exec(["true"])
        await asyncio.sleep(0.5)
        pid = int((await control.look(PurePosixPath(noted)) or b"0").decode())
        assert pid in {process.pid for process in await control.processes()}, "a service died of the freeze"
        assert attendant.hello.pid not in {process.pid for process in await control.processes()}
        os.kill(pid, signal.SIGKILL)
        await roots.aclose()
