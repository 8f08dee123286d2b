"""Nothing gets out of a container, nothing outlives it, and what is not as declared is noticed."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import pytest

from environments import Broken, Closed, Limits
from environments.containers import Containers, try_out
from environments.containers.machine import inside

if TYPE_CHECKING:
    from environments import Lease

pytestmark = pytest.mark.anyio

HOME = PurePosixPath("/home/agent")


async def sh(lease: Lease, text: str, timeout_s: float = 30.0) -> str:
    return (await lease.agent.exec(["bash", "-c", text], timeout_s=timeout_s)).text


def asked(podman: Path, *arguments: str) -> list[str]:
    argv = [str(podman), *arguments]
    return subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60).stdout.split()


def machines(podman: Path) -> list[str]:
    return asked(podman, "ps", "--all", "--external", "--quiet")


def init_of(podman: Path) -> int:
    (pid,) = asked(podman, "inspect", "--format", "{{.State.Pid}}", *machines(podman))
    return int(pid)


def ids_of(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/status").read_text().partition("Uid:")[2].split()[:2]


def groups_of(pid: int) -> list[Path]:
    lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    found = [Path("/sys/fs/cgroup", *line.split(":", 2)[1:2], line.split(":", 2)[2][1:]) for line in lines]
    return [group for group in found if group.is_dir() and group != Path("/sys/fs/cgroup")]


# How closed it is


async def test_the_certificate_is_granted_and_says_what_was_probed(lease: Lease) -> None:
    assert lease.certificate.granted, lease.certificate.refusal()
    assert (lease.certificate.provider, lease.certificate.grade) == ("container", "host")
    probes = {probe.name: probe.found for probe in lease.certificate.probes}
    assert {name for name in probes if name.endswith("namespace")} == {
        f"{kind} namespace" for kind in ("user", "pid", "mnt", "net", "ipc", "uts", "cgroup")
    }
    assert (probes["network interfaces"], probes["routes"], probes["capabilities"]) == ("lo", "none", "none")
    assert (probes["system calls"], probes["image"]) == ("filtered", "read-only")


async def test_there_is_no_way_to_the_hosts_network(lease: Lease) -> None:
    with socket.create_server(("127.0.0.1", 0)) as canary:
        port = canary.getsockname()[1]
        assert "Connection refused" in await sh(lease, f"echo out >/dev/tcp/127.0.0.1/{port}")
        canary.settimeout(0.2)
        with pytest.raises(TimeoutError):
            canary.accept()
    assert "unreachable" in await sh(lease, "echo out >/dev/tcp/192.0.2.1/80")


async def test_no_privilege_can_be_had(lease: Lease) -> None:
    status = await sh(lease, "grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status")
    assert status.split("\n")[5:7] == ["NoNewPrivs:\t1", "Seccomp:\t2"]
    assert all(line.endswith("0" * 16) for line in status.split("\n")[:5])
    assert await sh(lease, "id -u; id -g; id -G") == "1000\n1000\n1000\n"
    assert "No space left on device" in await sh(lease, "unshare --user --map-root-user true")
    for path in ("/proc/sys/kernel/hostname", "/proc/sysrq-trigger", "/usr/bin/new", "/etc/new", "/dev/new"):
        assert "WRITTEN" not in await sh(lease, f"echo x >{path} && echo WRITTEN")


async def test_it_runs_as_a_host_user_that_owns_nothing(lease: Lease, podman: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can become a user that owns nothing")
    assert ids_of(init_of(podman)) == ["2000001000", "2000001000"]
    assert lease.certificate.granted


async def test_the_images_entry_point_is_not_run_and_its_variables_are_kept(lease: Lease) -> None:
    said = await sh(lease, "echo $OF_IMAGE $HOME $USER; env")
    assert said.startswith("kept /home/agent agent\n")
    assert "VIRTUAL_ENV" not in said
    assert "PYTEST" not in said


async def test_a_directory_of_the_host_is_noticed(
    provider: Containers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = tmp_path / "shared"
    shared.mkdir(mode=0o755)
    settings = tmp_path / "containers.conf"
    settings.write_text(f'[containers]\nvolumes = ["{shared}:/mnt:ro"]\n')
    monkeypatch.setenv("CONTAINERS_CONF", str(settings))
    async with provider.open(label="test", seed=0) as lease:
        assert not lease.certificate.granted
        inside, outside = sorted(lease.certificate.refusal().split("; "), key=len, reverse=True)
        assert outside == "directories of the host: declared none, found /mnt"
        assert inside.startswith("directories of the host: declared none, found /mnt (")


async def test_system_calls_that_are_not_filtered_are_noticed(
    provider: Containers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = tmp_path / "containers.conf"
    settings.write_text('[containers]\nseccomp_profile = "unconfined"\n')
    monkeypatch.setenv("CONTAINERS_CONF", str(settings))
    async with provider.open(label="test", seed=0) as lease:
        assert lease.certificate.refusal() == "system calls: declared filtered, found not filtered"


# What it uses up


async def test_a_fork_bomb_is_fenced(lease: Lease) -> None:
    await lease.agent.exec(["bash", "-c", "f() { f | f & }; f; sleep 2"], timeout_s=3)
    assert len(await lease.control.processes()) <= 64 + 8


async def test_writing_meets_the_disk_limit(lease: Lease) -> None:
    places = ("/home/agent", "/tmp", "/var/tmp", "/dev/shm")  # noqa: S108
    for place in places:
        text = f"dd if=/dev/zero of={place}/big bs=1M count=200 2>&1; stat -c %s {place}/big"
        assert "No space left" in await sh(lease, text, timeout_s=60)
    sizes = [await sh(lease, f"stat -c %s {place}/big") for place in places]
    assert sum(map(int, sizes)) <= 96 << 20


async def test_memory_beyond_the_limit_is_not_to_be_had(lease: Lease) -> None:
    result = await lease.agent.exec(["python3", "-c", "x = b'x' * (1 << 30); print(len(x))"], timeout_s=60)
    assert not result.ok
    assert await sh(lease, "echo alive") == "alive\n"


async def test_open_files_are_limited(podman: Path, provider: Containers) -> None:
    small = replace(provider, engine=str(podman), limits=Limits(memory_bytes=128 << 20, open_files=300))
    async with small.open(label="test", seed=0) as lease:
        assert await sh(lease, "ulimit -n") == "300\n"


# Its two handles


async def test_the_agent_killing_everything_costs_it_one_command(lease: Lease) -> None:
    assert (await lease.agent.exec(["bash", "-c", "kill -9 -1; sleep 5"])).status == 137
    assert await sh(lease, "echo alive") == "alive\n"


async def test_a_link_cannot_lead_the_judge_out(lease: Lease) -> None:
    await sh(lease, "ln -s /etc/hostname direct; ln -s ../../../../etc dots; mkdir t; ln -s /usr t/usr")
    assert await lease.control.look(HOME / "direct") is None
    assert await lease.control.look(HOME / "dots/hostname") == b"machine"
    assert [fact.path.name for fact in await lease.control.walk(HOME / "t")] == ["t", "usr"]


async def test_what_a_command_leaves_can_be_hit(lease: Lease) -> None:
    await sh(lease, "sleep 5151 </dev/null >/dev/null 2>&1 & setsid sleep 5152 & sleep 0.3")
    found = {process.argv[-1]: process for process in await lease.control.processes()}
    assert found.keys() == {"5151", "5152"}
    for process in found.values():
        assert await lease.control.signal(process, signal.SIGKILL)
    await asyncio.sleep(0.2)
    assert await lease.control.processes() == []


async def test_a_frozen_container_takes_no_command(lease: Lease) -> None:
    await lease.control.freeze()
    with pytest.raises(Closed):
        await lease.agent.exec(["true"])


# Its end


async def test_nothing_is_left(provider: Containers, podman: Path) -> None:
    async with provider.open(label="test", seed=0) as lease:
        await sh(lease, "trap '' TERM; setsid sleep 10007 >/dev/null 2>&1 & sleep 0.2")
        init = init_of(podman)
        groups = groups_of(init)
        assert len(inside(init)) >= 3
        assert groups
    assert machines(podman) == []
    assert inside(init) == []
    assert not [group for group in groups if group.exists()]


async def test_it_is_torn_down_to_the_end_however_often_it_is_cancelled(
    provider: Containers, podman: Path
) -> None:
    async def hold() -> None:
        async with provider.open(label="test", seed=0):
            await asyncio.sleep(60)

    for moment in (0.0, 0.1, 0.2, 0.3, 0.4, 0.6, 1.5):
        task = asyncio.ensure_future(hold())
        await asyncio.sleep(moment)
        for _ in range(20):
            task.cancel()
            await asyncio.sleep(0)
        with pytest.raises(asyncio.CancelledError):
            await task
        assert machines(podman) == []


async def test_one_that_is_killed_from_outside_is_not_the_agents_doing(
    provider: Containers, podman: Path
) -> None:
    async with provider.open(label="test", seed=0) as lease:
        running = asyncio.ensure_future(lease.agent.exec(["sleep", "60"]))
        await asyncio.sleep(0.3)
        asked(podman, "kill", *machines(podman))
        with pytest.raises(Broken, match="the container has ended") as caught:
            await running
        assert not caught.value.by_agent
    assert machines(podman) == []


CRASH = textwrap.dedent("""
    import asyncio, os, signal, sys
    from environments.containers import Containers
    async def main():
        async with Containers(image=sys.argv[2], engine=sys.argv[1]).open(label="test", seed=0) as lease:
            await lease.agent.exec(["bash", "-c", "setsid sleep 10009 >/dev/null 2>&1 & sleep 0.3"])
            os.kill(os.getpid(), signal.SIGKILL)
    asyncio.run(main())
""")


def test_it_ends_with_the_runner_whatever_ends_that(provider: Containers, podman: Path) -> None:
    done = subprocess.run([sys.executable, "-c", CRASH, str(podman), provider.image], check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    deadline = time.monotonic() + 20
    while machines(podman):
        assert time.monotonic() < deadline, "the container outlived its runner"
        time.sleep(0.1)


async def test_an_engine_that_works_says_so(podman: Path) -> None:
    assert (await try_out(str(podman))).startswith("podman ")
