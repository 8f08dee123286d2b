"""What a lost link means for what runs at its other end: nothing where the host is well."""

from __future__ import annotations

import asyncio
import secrets
import time
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from environments import Limits, LinkLost, Rebooted
from environments.attendant import BOOT_COMMAND, Attendant, AttendedEnvironment
from environments.ssh import Link

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from ssh_host import Sshd, World

    from environments.ssh import SshHost

pytestmark = pytest.mark.anyio
ENDS_LINKS = "pkill -KILL -f 'sshd: agent'"


@asynccontextmanager
async def attended(host: SshHost) -> AsyncIterator[AttendedEnvironment]:
    async with linked(host) as link:
        keep = secrets.token_hex(8)
        attendant = Attendant(lambda: link.wire(BOOT_COMMAND), address=host.place, keep=keep, linger_s=60)
        try:
            await attendant.start()
            yield AttendedEnvironment(attendant, name="ssh", limits=Limits())
        finally:
            await attendant.aclose()


@asynccontextmanager
async def linked(host: SshHost) -> AsyncIterator[Link]:
    link = Link(host)
    await link.open()
    try:
        yield link
    finally:
        await link.aclose()


def of(world: World) -> SshHost:
    return replace(world.login("agent", world.key), keepalive_s=0.25, patience_s=4.0, connect_s=2.0)


async def test_a_command_outlives_its_link_and_runs_once(world: World) -> None:
    async with attended(of(world)) as agent:
        running = asyncio.create_task(agent.exec(["sh", "-c", "echo x >>ran; sleep 2; echo through"]))
        await asyncio.sleep(0.5)
        world.do(ENDS_LINKS)
        result = await running
        assert (result.status, result.stdout) == (0, b"through\n")
        assert (await agent.exec(["cat", "ran"])).stdout == b"x\n"


async def test_a_link_may_be_lost_again_and_again(world: World) -> None:
    async with attended(of(world)) as agent:
        running = asyncio.create_task(agent.exec(["sh", "-c", "sleep 3; echo through"]))
        for _ in range(4):
            await asyncio.sleep(0.5)
            world.do(ENDS_LINKS)
        assert (await running).stdout == b"through\n"


async def test_a_connection_that_falls_silent_is_given_up(world: World) -> None:
    async with attended(of(world)) as agent:
        await agent.exec(["true"])
        world.do("pkill -STOP -f 'sshd: agent'")
        began = time.monotonic()
        assert (await agent.exec(["echo", "through"])).stdout == b"through\n"
        assert time.monotonic() - began < 5
        world.do("pkill -CONT -f 'sshd: agent'")


async def test_an_sshd_that_comes_back_in_time_loses_nothing(world: World) -> None:
    async with attended(of(world)) as agent:
        running = asyncio.create_task(agent.exec(["sh", "-c", "sleep 1; echo through"]))
        await asyncio.sleep(0.3)
        world.do("pkill -KILL sshd")
        await asyncio.sleep(1.5)
        assert not running.done()
        world.do("begin")
        assert (await running).stdout == b"through\n"


async def test_an_sshd_that_stays_away_is_a_lost_link(world: World) -> None:
    async with attended(of(world)) as agent:
        running = asyncio.create_task(agent.exec(["sleep", "30"]))
        await asyncio.sleep(0.3)
        world.do("pkill -KILL sshd")
        began = time.monotonic()
        with pytest.raises(LinkLost) as caught:
            await running
        assert 3 < time.monotonic() - began < 8
        place = f"127.0.0.1:{world.port}"
        assert str(caught.value).startswith(
            f"{place}: the link is lost, tried for 4 s: {place}: nothing listens"
        )
        with pytest.raises(LinkLost):
            await agent.exec(["true"])


async def test_a_host_that_hangs_is_a_lost_link(world: World) -> None:
    async with attended(of(world)) as agent:
        world.do("pkill -STOP sshd")
        began = time.monotonic()
        with pytest.raises(LinkLost, match="no SSH server answered"):
            await agent.exec(["true"])
        assert time.monotonic() - began < 12
        world.do("pkill -CONT sshd")


async def test_a_host_with_another_key_is_not_returned_to(sshd: Sshd) -> None:
    async with attended(replace(sshd.host, patience_s=20.0)) as agent:
        sshd.stop()
        sshd.new_host_key()
        sshd.start()
        began = time.monotonic()
        with pytest.raises(LinkLost, match="THE HOST KEY HAS CHANGED"):
            await agent.exec(["true"])
        assert time.monotonic() - began < 5


async def test_a_reboot_is_said_once(world: World) -> None:
    async with attended(of(world)) as agent:
        running = asyncio.create_task(agent.exec(["sleep", "30"]))
        await asyncio.sleep(0.3)
        world.do("echo 11111111-2222-3333-4444-555555555555 >/etc/boot")
        world.do("mount --bind /etc/boot /proc/sys/kernel/random/boot_id")
        world.do("pkill -KILL -u agent; pkill -KILL sshd; sleep 0.5; begin")
        with pytest.raises(Rebooted):
            await running
        assert (await agent.exec(["echo", "up"])).stdout == b"up\n"


async def test_many_handles_on_one_link_mend_it_once(world: World) -> None:
    async with linked(of(world)) as link:
        world.do(ENDS_LINKS)
        wires = await asyncio.gather(*(link.wire("echo here; cat") for _ in range(8)))
        assert [await wire.receive() for wire in wires] == [b"here\n"] * 8
        assert world.do("pgrep -fc 'sshd: agent@'").strip() == "1"
    with pytest.raises(LinkLost, match="it was closed"):
        await link.wire("true")


async def test_a_host_that_gives_few_channels_gets_more_connections(world: World) -> None:
    world.do("echo MaxSessions 1 >>/etc/ssh/sshd_config; kill -HUP $server; sleep 0.3")
    async with linked(of(world)) as link:
        wires = [await link.wire("echo here; cat") for _ in range(4)]
        assert [await wire.receive() for wire in wires] == [b"here\n"] * 4
    await asyncio.sleep(0.3)
    assert world.do("pgrep -fc 'sshd: agent@'").strip() == "0"
