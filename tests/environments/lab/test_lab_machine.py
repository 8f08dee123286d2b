"""A lab's host as a machine: both handles, the certificate, and the hosts beside it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path, PurePosixPath
from signal import SIGKILL
from typing import TYPE_CHECKING

import pytest

from environments import Control, Environment, Limits, LinkLost
from environments.lab import LabLease, LabMachine
from environments.testing import check_provider

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from environments import Lease

pytestmark = pytest.mark.anyio

HOME = PurePosixPath("/home/agent")
SMALL = Limits(memory_bytes=256 << 20, processes=64, disk_bytes=96 << 20)


@pytest.fixture
async def lease() -> AsyncGenerator[LabLease, None]:
    async with LabMachine(hosts=2, limits=SMALL).open(label="test", seed=0) as opened:
        yield opened


async def sh(lease: Lease, text: str, timeout_s: float = 30.0) -> str:
    return (await lease.agent.exec(["bash", "-c", text], timeout_s=timeout_s)).text


async def test_the_lab_conforms() -> None:
    (await check_provider(LabMachine(hosts=1))).require()


async def test_the_certificate_is_granted_for_every_host(lease: LabLease) -> None:
    for other in lease.hosts.values():
        assert other.certificate.granted, other.certificate.refusal()
        assert isinstance(other.agent, Environment)
        assert isinstance(other.control, Control)
        assert other.control.grade == "host"
    assert list(lease.hosts) == ["node1", "node2"]
    assert lease.hosts["node1"].agent is lease.agent


async def test_a_service_moves_to_the_second_host(lease: LabLease) -> None:
    second = lease.hosts["node2"]
    await lease.control.plant(HOME / "site/index.html", b"moved\n")
    said = await sh(
        lease,
        "tar -c site | ssh node2 tar -x && "
        "ssh node2 'cd site; nohup setsid python3 -m http.server 8000 </dev/null >/dev/null 2>&1 &'; "
        "for try in $(seq 50); do exec 3<>/dev/tcp/node2/8000 && break; sleep 0.1; done 2>/dev/null; "
        "echo 'GET /index.html HTTP/1.0' >&3; echo >&3; tail -n 1 <&3",
    )
    assert said.splitlines()[-1] == "moved"
    assert await second.control.look(HOME / "site/index.html") == b"moved\n"
    assert b"moved" in (await second.control.dial(8000, b"GET /index.html HTTP/1.0\r\n\r\n") or b"")
    (server,) = await second.control.processes()
    assert server.argv[:3] == ("python3", "-m", "http.server")
    assert await second.control.signal(server, SIGKILL)


async def test_the_agent_has_no_power(lease: LabLease) -> None:
    assert "ssh: " not in await sh(lease, "ssh -o ConnectTimeout=5 root@node2 true; true")
    assert "denied" in await sh(lease, "ssh root@node2 id; cat /etc/ssh/ssh_host_ed25519_key")
    assert "failed" in await sh(lease, "unshare --user --map-root-user true")
    assert "not permitted" in await sh(lease, "nft list ruleset; ip link set eth0 down")
    assert await sh(lease, "ls -A /root /etc/ssh/keys 2>/dev/null") == "/etc/ssh/keys:\nagent\nroot\n"
    for path in ("/proc/sys/kernel/core_pattern", "/proc/sys/net/ipv4/ip_forward", "/usr/bin/x", "/etc/x"):
        assert "WRITTEN" not in await sh(lease, f"echo x >{path} && echo WRITTEN")


async def test_control_touches_what_is_roots_and_what_is_the_agents(lease: LabLease) -> None:
    control = lease.control
    await control.plant(PurePosixPath("/srv/deep/file"), b"1", mode=0o600)
    assert await sh(lease, "stat -c '%U %a' /srv/deep /srv/deep/file; cat /srv/deep/file") == (
        "agent 755\nagent 600\n1"
    )
    assert await sh(lease, "stat -c %U /srv /etc/hosts /home/agent") == "root\nroot\nagent\n"
    await control.move(PurePosixPath("/srv/deep/file"), HOME / "new/file")
    await control.move(HOME / "new/file", PurePosixPath("/opt/file"))
    assert await control.look(PurePosixPath("/opt/file")) == b"1"
    await sh(lease, "mkdir shut; echo 2 >shut/file; chmod 000 shut/file; ln -s /etc/hostname direct")
    assert await control.look(HOME / "shut/file") == b"2\n"
    assert await control.look(HOME / "direct") is None
    key = await control.look(PurePosixPath("/etc/ssh/ssh_host_ed25519_key"))
    assert key is not None
    assert b"OPENSSH PRIVATE KEY" in key


async def test_a_link_leads_the_judge_to_nothing_of_the_real_hosts(lease: LabLease) -> None:
    await sh(lease, "ln -s /proc/sys/kernel sys; ln -s /proc/1/root/proc/sys/kernel deep")
    with pytest.raises(PermissionError):
        await lease.control.plant(HOME / "sys/core_pattern", b"|/bin/sh")
    with pytest.raises(OSError, match="symbolic links"):
        await lease.control.plant(HOME / "deep/core_pattern", b"|/bin/sh")


async def test_a_launched_service_is_the_agents_and_inside_the_fences() -> None:
    async with LabMachine(hosts=1, limits=SMALL).open(label="test", seed=0) as lease:
        text = "import os, time; print(os.getuid(), os.getcwd(), flush=True); time.sleep(4711)"
        await lease.control.launch(["python3", "-c", text], cwd=HOME, log=PurePosixPath("/var/log/a/log"))
        async with asyncio.timeout(10):
            while not (said := await lease.control.look(PurePosixPath("/var/log/a/log"))):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert said == b"1000 /home/agent\n"
        (service,) = await lease.control.processes()
        assert service.parent == 1
        status = await sh(lease, f"grep -E '^(Cap|NoNewPrivs)' /proc/{service.pid}/status")
        assert set(status.replace("NoNewPrivs:\t1", "").split()[1::2]) == {"0" * 16}
        host = lease.lab.hosts["node1"]
        assert all("python3" in _names(group) for _, group in host.fence.groups)


def _names(group: Path) -> list[str]:
    pids = (group / "cgroup.procs").read_text().split()
    return [Path(f"/proc/{pid}/comm").read_text().strip() for pid in pids]


async def test_a_process_cannot_hide_by_its_name(lease: LabLease) -> None:
    await sh(lease, "(exec -a 'sshd: agent@notty' sleep 4712) </dev/null >/dev/null 2>&1 &")
    for _ in range(50):
        (process,) = await lease.control.processes()
        if process.argv == ("sshd: agent@notty", "4712"):
            break
        await asyncio.sleep(0.05)
    assert process.argv == ("sshd: agent@notty", "4712")


async def test_the_fences_hold(lease: LabLease) -> None:
    said = await sh(lease, "dd if=/dev/zero of=big bs=1M count=1024 2>&1; rm big", timeout_s=60)
    assert "No space left on device" in said
    result = await lease.agent.exec(["python3", "-c", "x = bytearray(1 << 30)"], timeout_s=60)
    assert not result.ok
    await lease.agent.exec(["bash", "-c", "f() { f | f & }; f; sleep 1"], timeout_s=3)
    assert len(await lease.control.processes()) <= SMALL.processes + 2
    assert (await lease.hosts["node2"].agent.exec(["true"])).ok, "the other host felt it"


async def test_the_agents_link_survives_its_servers_death(lease: LabLease) -> None:
    running = asyncio.ensure_future(lease.agent.exec(["bash", "-c", "sleep 1.5; echo through"]))
    await asyncio.sleep(0.3)
    await lease.lab.kill_sshd("node1")
    await asyncio.sleep(0.3)
    assert ("sleep",) in [p.argv[:1] for p in await lease.control.processes()], "the judge went over SSH"
    await lease.lab.start_sshd("node1")
    assert (await running).stdout == b"through\n"


async def test_a_host_without_a_server_is_a_lost_link() -> None:
    async with LabMachine(hosts=1, limits=SMALL).open(label="test", seed=0) as lease:
        link = lease.agent.attendant._open_wire.func.__self__  # type: ignore[attr-defined]
        link._host = replace(link._host, patience_s=1.0)
        await lease.lab.kill_sshd("node1")
        with pytest.raises(LinkLost):
            await lease.agent.exec(["true"])
        assert await lease.control.look(PurePosixPath("/etc/hostname")) == b"node1\n"
