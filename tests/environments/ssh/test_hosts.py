"""Hosts as machines, on a real one: leased, used, put back, and certified as far as they are closed."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import pytest
from ssh_host import World, may_make_worlds

from environments import Broken, Limits, LinkLost, Rebooted, Unavailable
from environments.ssh import SshHosts
from environments.testing import Faults, check_provider

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from environments import Lease
    from environments.ssh import SshMachine

pytestmark = pytest.mark.anyio
EVERYTHING = (
    "find / -xdev \\( -path /proc -o -path /usr -o -path /dev \\) -prune -o -path / "
    "-o -printf '%p %U %m %y %l %s\\n';"
    "find /dev/shm; ps -eo user,args | grep -v -e '^root' -e USER || true"
)


def hosts(*machines: SshMachine, limits: Limits | None = None) -> SshHosts:
    return SshHosts(machines=machines, limits=limits or Limits())


async def sh(lease: Lease, text: str, timeout_s: float = 20.0) -> str:
    return (await lease.agent.exec(["bash", "-c", text], timeout_s=timeout_s)).text


MESS = """
    echo new >new; rm kept; echo changed >>changed; rm -r tree; ln -s /etc tree; chmod 777 .
    mkdir -p closed/deep; echo x >closed/deep/file; chmod 000 closed
    echo x >/tmp/mine; mkdir -p /var/tmp/mine/deep; echo x >/dev/shm/mine; mkfifo /tmp/pipe
    setsid sleep 4801 </dev/null >/dev/null 2>&1 &
    (trap '' TERM HUP; while :; do sleep 1 & wait; done) </dev/null >/dev/null 2>&1 &
    python3 -c 'import ctypes; print(ctypes.CDLL(None).shmget(4801, 4096, 0o1666))'
"""


def furnish(world: World) -> None:
    world.do(
        "cd /home/agent; echo 1 >kept; echo 2 >changed; mkdir -p tree/deep; echo 3 >tree/deep/file;"
        "ln kept linked; ln -s kept soft; chmod 640 changed; chown -R -h agent:agent .;"
        "echo 4 >/var/mail/agent; chown agent /var/mail/agent; cd /"
    )


@pytest.mark.parametrize("control", ["root", "same user"])
async def test_a_host_is_put_back_as_it_was(world: World, control: str) -> None:
    furnish(world)
    before = sorted(world.do(EVERYTHING).splitlines())
    machine = world.machine if control == "root" else replace(world.machine, control=None)
    provider = hosts(machine)
    for _ in range(2):
        async with provider.open(label="test", seed=0) as lease:
            assert lease.control.grade == ("root_shell" if control == "root" else "same_user")
            assert (await sh(lease, MESS)).strip().isdigit()
            if control == "root":
                table = "/var/spool/cron/crontabs/agent"
                world.do(f"echo '* * * * * true' >{table}; chown agent {table}")
            assert "4801" in world.do("ps -eo args")
            assert await lease.control.look(PurePosixPath("/home/agent/new")) == b"new\n"
        assert sorted(world.do(EVERYTHING).splitlines()) == before
        assert world.do("cat /home/agent/changed /home/agent/tree/deep/file /var/mail/agent") == "2\n3\n4\n"
        assert world.do("ipcs -m | grep -c agent || true").strip() == "0"


async def test_what_cannot_be_put_back_makes_a_host_dirty(world: World) -> None:
    world.do("echo x >/var/lib/shared; chmod 666 /var/lib/shared")
    provider = hosts(world.machine)
    with pytest.raises(Broken, match=r"test: left behind /var/lib/shared \(written to\) on world"):
        async with provider.open(label="test", seed=0) as lease:
            await sh(lease, "echo y >/var/lib/shared")
    with pytest.raises(Unavailable, match=r"not used again: left on world: /var/lib/shared"):
        async with provider.open(label="test", seed=0):
            pass


async def test_a_user_who_is_at_work_is_not_taken(world: World) -> None:
    world.do("setpriv --reuid=4321 --regid=4321 --clear-groups sleep 4802 &")
    with pytest.raises(Unavailable) as caught:
        async with hosts(world.machine).open(label="test", seed=0):
            pass
    assert "agent has process " in str(caught.value)
    assert "(sleep 4802) running already; end it on the host: `pkill -KILL -u agent`" in str(caught.value)
    assert "4802" in world.do("ps -eo args")
    assert world.do("ls /var/lib") == ""


async def test_hosts_that_will_not_do_are_named(world: World) -> None:
    async def refusal(machine: SshMachine) -> str:
        with pytest.raises(Unavailable) as caught:
            async with hosts(machine).open(label="test", seed=0):
                pass
        assert world.do("ls /var/lib") == ""
        return str(caught.value)

    agent, root = world.machine.agent, world.login("root")
    assert "root is root; let the agent log in as a user of its own" in await refusal(
        replace(world.machine, agent=root)
    )
    assert "the control user agent is not root; set control_user to root" in await refusal(
        replace(world.machine, control=agent)
    )
    world.do("mv /etc/passwd /etc/p; sed 's,:/home/agent:,:/tmp:,' /etc/p >/etc/passwd")
    assert "agent has no home of its own (/tmp)" in await refusal(world.machine)
    world.do("mv /etc/p /etc/passwd; mount --bind /dev/null $(readlink -f /usr/bin/python3)")
    said = await refusal(world.machine)
    assert "python3" in said
    assert "mend that on the host" in said


async def test_commands_keep_their_limits(world: World) -> None:
    async with hosts(world.machine).open(label="test", seed=0) as lease:
        result = await lease.agent.exec(["bash", "-c", "echo early; sleep 4803 & sleep 4803"], timeout_s=1)
        assert (result.timed_out, result.stdout) == (True, b"early\n")
        assert "4803" not in world.do("ps -eo args")
        data = bytes(range(256)) * (16 << 12)
        path = lease.agent.home / "sub/large"
        await lease.agent.write(path, data)
        assert await lease.agent.read(path) == data
        assert "MemoryError" in await sh(lease, "python3 -c 'bytearray(2 << 30)'")
        many = "import os, time; [os.fork() or time.sleep(9) for _ in range(400)]"
        assert "Resource temporarily unavailable" in await sh(lease, f"python3 -c '{many}'")


async def test_a_trial_waits_for_a_free_host(world: World) -> None:
    provider = hosts(world.machine)
    order: list[str] = []

    async def trial(name: str) -> None:
        async with provider.open(label=name, seed=0):
            order.append(f"{name} in")
            await asyncio.sleep(0.1)
            order.append(f"{name} out")

    await asyncio.gather(trial("a"), trial("b"), trial("c"))
    assert [word.split()[1] for word in order] == ["in", "out"] * 3


async def test_the_other_hosts_go_on(world: World) -> None:
    dead = replace(world.machine, name="dead", control=replace(world.login("root"), port=9))
    provider = hosts(dead, world.machine)
    for _ in range(3):
        async with provider.open(label="test", seed=0) as lease:
            assert (await sh(lease, "echo well")) == "well\n"
    with pytest.raises(Unavailable) as caught:
        async with hosts(dead, replace(dead, name="deader")).open(label="test", seed=0):
            pass
    assert str(caught.value).startswith("none of 2 SSH hosts can be had: 127.0.0.1:9: nothing listens there")


DIES = """
import asyncio, sys
from pathlib import Path
from environments.ssh import SshHosts

async def main(path):
    async with SshHosts.listed_in(Path(path)).open(label="dies", seed=0) as lease:
        await lease.agent.exec(["sh", "-c", "echo new >new; rm kept; setsid sleep 4804 >/dev/null 2>&1 &"])
        print("open", flush=True)
        await asyncio.sleep(60)

asyncio.run(main(sys.argv[1]))
"""


async def test_what_a_run_that_died_left_is_put_right_by_the_next(world: World, tmp_path: Path) -> None:
    furnish(world)
    before = sorted(world.do(EVERYTHING).splitlines())
    file = tmp_path / "hosts.toml"
    file.write_text(
        f"[world]\naddress = '127.0.0.1'\nport = {world.port}\nuser = 'agent'\nidentity = '{world.key}'\n"
        f"host_key = '{world.host_key}'\ncontrol_identity = '{world.root_key}'\n"
    )
    provider = SshHosts.listed_in(file)
    with dying(file), pytest.raises(Unavailable, match="another run has agent at present"):
        async with provider.open(label="second", seed=0):
            pass
    with pytest.raises(Unavailable, match=r"agent has process .* running already"):
        async with provider.open(label="third", seed=0):
            pass
    world.do("pkill -KILL -u agent")
    async with provider.open(label="fourth", seed=0) as lease:
        assert (await sh(lease, "cat kept; ls new")).startswith("1\n")
    assert sorted(world.do(EVERYTHING).splitlines()) == before


@contextmanager
def dying(hosts_file: Path) -> Iterator[None]:
    """A run in a process of its own, which is killed in the end."""
    command = [sys.executable, "-c", DIES, str(hosts_file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == "open\n"
        yield
        run.kill()


async def test_a_host_lost_for_good_is_not_used_again(world: World) -> None:
    machine = world.machine
    assert machine.control is not None
    impatient = replace(
        machine,
        agent=replace(machine.agent, patience_s=1.0, connect_s=1.0),
        control=replace(machine.control, patience_s=1.0, connect_s=1.0),
    )
    provider = hosts(impatient)

    async def trial() -> None:
        async with provider.open(label="test", seed=0) as lease:
            world.do("pkill -KILL sshd")
            with pytest.raises(LinkLost):
                await sh(lease, "true")

    with pytest.raises(LinkLost):
        await trial()
    with pytest.raises(Unavailable, match="not used again"):
        async with provider.open(label="test", seed=0):
            pass


async def test_a_host_that_was_started_anew_says_so_and_is_put_back(world: World) -> None:
    furnish(world)
    before = sorted(world.do(EVERYTHING).splitlines())
    async with hosts(world.machine).open(label="test", seed=0) as lease:
        await sh(lease, "echo new >new")
        world.do("echo other >/run/boot; mount --bind /run/boot /proc/sys/kernel/random/boot_id")
        world.do("pkill -KILL -u agent; pkill -KILL sshd; sleep 0.3; begin")
        with pytest.raises(Rebooted):
            await sh(lease, "true")
        assert await sh(lease, "echo up") == "up\n"
    world.do("umount /proc/sys/kernel/random/boot_id; rm /run/boot")
    assert sorted(world.do(EVERYTHING).splitlines()) == before


@contextmanager
def cabled() -> Iterator[World]:
    if not may_make_worlds():
        pytest.skip("hosts of their own are made by root")
    with World(cable="redline-test") as world:
        yield world


async def test_a_closed_host_is_certified_and_an_open_one_is_not() -> None:
    roomy = Limits(disk_bytes=1 << 30)
    with cabled() as world:
        async with hosts(world.machine, limits=roomy).open(label="test", seed=0) as lease:
            refusal = lease.certificate.refusal()
            found = f"TCP {world.runner}, UDP {world.runner}"
            assert f"calls redline heard: declared none, found {found}" in refusal
            assert lease.certificate.closed
            assert not lease.certificate.granted
        world.shut()
        async with hosts(world.machine, limits=roomy).open(label="test", seed=0) as lease:
            assert lease.certificate.granted, lease.certificate.refusal()
            assert lease.certificate.grade == "root_shell"
        async with hosts(world.machine, limits=Limits(disk_bytes=1 << 20)).open(label="t", seed=0) as lease:
            assert lease.certificate.refusal() == "disk fence: declared up, found down"
        world.do(f"ip route add default via {world.runner}")
        async with hosts(world.machine, limits=roomy).open(label="test", seed=0) as lease:
            wrong = {probe.name: probe.found for probe in lease.certificate.probes if not probe.ok}
            assert wrong == {"default route": "IPv4 /0", "metadata routes": "169.254.169.254"}


async def test_the_runners_own_host_is_no_world_of_its_own(world: World) -> None:
    async with hosts(world.machine).open(label="test", seed=0) as lease:
        refusal = lease.certificate.refusal()
        assert "world: declared its own, found the runner's (net)" in refusal
    async with hosts(replace(world.machine, control=None)).open(label="test", seed=0) as lease:
        assert not lease.certificate.closed
        assert not lease.certificate.granted


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("control", ["root", "same user"])
async def test_hosts_conform(world: World, control: str) -> None:
    async def cut(_: Lease) -> None:
        world.do("pkill -KILL -f 'sshd: agent'")

    machine = world.machine if control == "root" else replace(world.machine, control=None)
    before = sorted(world.do(EVERYTHING).splitlines())
    (await check_provider(hosts(machine), faults=Faults(cut_link=cut))).require()
    assert sorted(world.do(EVERYTHING).splitlines()) == before


async def test_a_gate_names_the_caller_and_says_where_there_can_be_none(world: World) -> None:
    provider = SshHosts(machines=(world.machine,))
    async with provider.open(label="gate", seed=0) as lease:
        assert lease.gate is not None
        call = "import socket; s = socket.create_connection(('127.0.0.1', 28451)); s.recv(9)"
        async with lease.gate.open(28451) as listener:
            calling = asyncio.create_task(lease.agent.exec(["python3", "-c", call]))
            connection, _ = await asyncio.get_running_loop().sock_accept(listener)
            with connection:
                caller = await lease.gate.caller(connection)
            await calling
        assert caller is not None
        assert caller.argv[-1] == call
    world.do("echo AllowTcpForwarding no >>/etc/ssh/sshd_config; kill -HUP $server; sleep 1")
    async with provider.open(label="gate", seed=0) as lease:
        assert lease.gate is not None
        with pytest.raises(Unavailable, match="AllowTcpForwarding remote"):
            async with lease.gate.open(28451):
                pass
