"""Nothing gets out of a sandbox, nothing outlives it, and what it uses up is its own."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from environments import Broken, Limits, Unavailable
from environments.sandbox import Sandbox
from environments.sandbox.fences import hierarchies
from environments.sandbox.obstacles import explain
from environments.warden import here

if TYPE_CHECKING:
    from environments import Lease

pytestmark = pytest.mark.anyio

SMALL = Limits(memory_bytes=256 << 20, processes=64, disk_bytes=96 << 20)


async def sh(lease: Lease, text: str, timeout_s: float = 30.0) -> str:
    return (await lease.agent.exec(["bash", "-c", text], timeout_s=timeout_s)).text


async def test_the_certificate_is_granted_and_says_what_was_probed(lease: Lease) -> None:
    assert lease.certificate.granted, lease.certificate.refusal()
    probes = {probe.name: probe.found for probe in lease.certificate.probes}
    assert probes["network interfaces"] == "lo"
    assert probes["routes"] == "none"
    assert {name for name in probes if name.endswith("namespace")} == {
        f"{kind} namespace" for kind in ("user", "pid", "mnt", "net", "ipc", "uts", "cgroup")
    }


async def test_there_is_no_way_to_the_hosts_network(lease: Lease) -> None:
    with socket.create_server(("127.0.0.1", 0)) as canary:
        port = canary.getsockname()[1]
        assert "Connection refused" in await sh(lease, f"echo out >/dev/tcp/127.0.0.1/{port}")
        canary.settimeout(0.2)
        with pytest.raises(TimeoutError):
            canary.accept()
    assert "unreachable" in await sh(lease, "echo out >/dev/tcp/192.0.2.1/80")
    assert await sh(lease, "cat /proc/net/dev | tail -n +3 | cut -d: -f1") == "    lo\n"


async def test_the_hosts_processes_are_invisible(lease: Lease) -> None:
    pids = (await sh(lease, "ls /proc | grep -E '^[0-9]+$'")).split()
    assert len(pids) < 10
    assert str(os.getpid()) not in pids or os.getpid() < 20
    assert "python" not in await sh(lease, "cat /proc/[0-9]*/cmdline | tr '\\0' ' '")


async def test_no_trace_of_the_hosts_files_or_variables(lease: Lease, tmp_path: Path) -> None:
    secret = tmp_path / "credential"
    secret.write_text("secret")
    os.environ["REDLINE_CANARY"] = "secret"
    try:
        async with Sandbox(limits=SMALL).open(label="test", seed=0) as other:
            assert "CANARY" not in await sh(other, "env; cat /proc/1/environ")
    finally:
        del os.environ["REDLINE_CANARY"]
    assert "No such file" in await sh(lease, f"cat {secret}")
    assert await sh(lease, "ls -A /root /home /mnt /srv /opt /usr/local") == (
        "/home:\nagent\n\n/mnt:\n\n/opt:\n\n/root:\n\n/srv:\n\n/usr/local:\n"
    )
    assert str(Path.home()) not in await sh(lease, "cat /proc/self/mountinfo") or str(Path.home()) == "/"
    assert "machine-" not in await sh(lease, "cat /proc/self/mountinfo; df -a")


async def test_no_privilege_can_be_had(lease: Lease) -> None:
    status = await sh(lease, "grep -E '^(Cap|NoNewPrivs)' /proc/self/status")
    assert set(status.replace("NoNewPrivs:\t1", "").split()) == {
        "CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:", "0" * 16,
    }  # fmt: skip
    assert "failed" in await sh(lease, "unshare --user --map-root-user true")
    assert "superuser" in await sh(lease, "mount --bind /tmp /mnt")
    for path in ("/proc/sys/kernel/hostname", "/proc/sysrq-trigger", "/usr/bin/new", "/dev/new"):
        assert "WRITTEN" not in await sh(lease, f"echo x >{path} && echo WRITTEN")


async def test_what_the_agent_changes_stays_in_its_machine(lease: Lease) -> None:
    await sh(lease, "echo mine >/etc/passwd; rm -rf /etc/hosts /usr/local; touch /tmp/here")
    async with Sandbox(limits=SMALL).open(label="test", seed=0) as other:
        assert await sh(other, "head -1 /etc/passwd; ls /etc/hosts /tmp") == (
            "root:x:0:0:root:/root:/bin/bash\n/etc/hosts\n\n/tmp:\n"
        )


async def test_a_fork_bomb_is_fenced(lease: Lease) -> None:
    async with Sandbox(limits=SMALL).open(label="test", seed=0) as other:
        await lease.agent.exec(["bash", "-c", "f() { f | f & }; f; sleep 2"], timeout_s=3)
        assert len(await lease.control.processes()) <= SMALL.processes + 2
        assert await sh(other, "echo unharmed") == "unharmed\n"


async def test_ten_gigabytes_of_writing_meet_the_disk_limit(lease: Lease) -> None:
    said = await sh(lease, "dd if=/dev/zero of=big bs=1M count=10240 2>&1", timeout_s=60)
    assert "No space left on device" in said
    assert await sh(lease, "rm -f big; echo still >works && cat works") == "still\n"
    for place in ("/dev/shm", "/tmp", "/var/tmp"):  # noqa: S108
        assert "No space left" in await sh(
            lease, f"dd if=/dev/zero of={place}/big bs=1M count=1024 2>&1; rm {place}/big"
        )


async def test_four_gigabytes_of_memory_are_not_to_be_had(lease: Lease) -> None:
    result = await lease.agent.exec(["python3", "-c", "x = bytearray(4 << 30); print(len(x))"], timeout_s=60)
    assert not result.ok
    assert not result.timed_out
    assert await sh(lease, "echo alive") == "alive\n"


async def test_a_gigabyte_of_output_is_cut(lease: Lease) -> None:
    result = await lease.agent.exec(["bash", "-c", "yes | head -c 1G"], timeout_s=60)
    assert len(result.stdout) == 64 << 10
    assert result.dropped > 0
    assert await sh(lease, "echo alive") == "alive\n"


async def test_open_files_are_limited(lease: Lease) -> None:
    assert await sh(lease, "ulimit -n") == "1024\n"


def _groups_of(pid: int) -> list[Path]:
    """The machine's own control group in each hierarchy, as the kernel names it."""
    paths = [Path(line.split(":", 2)[2]) for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines()]
    names = {path.name for path in paths} - {""}
    groups = [hierarchy.parent / name for hierarchy in hierarchies() for name in names]
    return [group for group in groups if group.is_dir()]


async def test_nothing_is_left_after_the_machine() -> None:
    async with Sandbox(limits=SMALL).open(label="test", seed=0) as lease:
        await sh(
            lease,
            "trap '' TERM HUP INT; setsid nohup sleep 10007 >/dev/null 2>&1 & (sleep 20007 &) ; sleep 0.3",
        )
        marks = [p for p in await lease.control.processes() if p.argv[:1] == ("sleep",)]
        assert len(marks) == 2
        init = lease.agent._shell._proc._init  # type: ignore[attr-defined]
        groups = _groups_of(init)
        assert len(groups) == len(hierarchies())
        started = time.perf_counter()
    assert time.perf_counter() - started < 2
    alive = _running()
    assert "sleep 10007" not in alive
    assert "sleep 20007" not in alive
    assert not any(path.exists() for path in groups)


RUNNER = textwrap.dedent("""
    import asyncio, sys
    from environments.sandbox import Sandbox

    async def main():
        async with Sandbox().open(label="x", seed=0) as lease:
            await lease.agent.exec(["bash", "-c", "trap '' TERM; setsid sleep 98765 >/dev/null 2>&1 &"])
            print("ready", flush=True)
            await asyncio.sleep(60)

    asyncio.run(main())
""")


def test_the_machine_dies_with_its_runner() -> None:
    runner = subprocess.Popen([sys.executable, "-c", RUNNER], stdout=subprocess.PIPE, text=True)
    assert runner.stdout is not None
    assert runner.stdout.readline() == "ready\n"
    assert "sleep 98765" in _running()
    runner.kill()
    runner.wait()
    runner.stdout.close()
    deadline = time.monotonic() + 5
    while "sleep 98765" in _running():
        assert time.monotonic() < deadline, "a process outlived the runner"
        time.sleep(0.05)


def _running() -> str:
    lines = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    return "\n".join(line for line in lines.splitlines() if "<defunct>" not in line)


async def test_a_machine_whose_first_process_was_killed_is_broken_by_the_host() -> None:
    async with Sandbox(limits=SMALL).open(label="test", seed=0) as lease:
        await sh(lease, "true")
        shell = lease.agent._shell  # type: ignore[attr-defined]
        os.kill(shell._proc._init, 9)
        await asyncio.sleep(0.2)
        with pytest.raises(Broken) as caught:
            await lease.agent.exec(["true"])
        assert not caught.value.by_agent


def _children() -> set[str]:
    here()  # the warden stays for as long as the loop does
    return set(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())


async def test_cancelling_while_opening_leaves_nothing() -> None:
    async def hold() -> None:
        async with Sandbox(limits=SMALL).open(label="test", seed=0):
            await asyncio.sleep(60)

    before = _children()
    for delay in (0.0, 0.003, 0.01, 0.02, 0.05):
        task = asyncio.ensure_future(hold())
        await asyncio.sleep(delay)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert _children() <= before


async def test_many_machines_at_once() -> None:
    async def one(number: int) -> str:
        async with Sandbox(limits=SMALL).open(label=f"test-{number}", seed=0) as lease:
            return await sh(lease, f"echo {number} >file; sleep 0.2; cat file")

    assert await asyncio.gather(*(one(n) for n in range(20))) == [f"{n}\n" for n in range(20)]


def test_a_host_without_bubblewrap_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    fault = explain("sh: 1: bwrap: not found")
    assert isinstance(fault, Unavailable)
    assert str(fault) == "bwrap is not installed; sudo apt-get install bubblewrap"


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user first, which only root can")
def test_an_ordinary_user_gets_the_same_machine(tmp_path: Path) -> None:
    code = textwrap.dedent("""
        import asyncio, json, sys
        sys.path[:0] = json.loads(sys.argv[1])
        from environments.sandbox import Sandbox
        from pathlib import PurePosixPath as P

        async def main():
            async with Sandbox().open(label="x", seed=0) as lease:
                await lease.control.plant(P("/home/agent/a"), b"planted")
                text = "id -u; cat a; ls -ld /etc /usr | cut -c1-10"
                said = (await lease.agent.exec(["bash", "-c", text])).text
                print(json.dumps([lease.certificate.granted, lease.certificate.refusal(), said]))

        asyncio.run(main())
    """)
    source = Path(__file__).resolve().parents[2] / "src" / "environments"
    package = tmp_path / "environments"
    subprocess.run(["cp", "-r", str(source), str(package)], check=True)
    subprocess.run(["chmod", "-R", "a+rX", str(tmp_path)], check=True)
    for parent in tmp_path.parents:
        if parent.stat().st_uid == 0 and parent != Path("/") and str(parent).startswith("/tmp/"):  # noqa: S108
            parent.chmod(parent.stat().st_mode | 0o055)
    python = "/usr/bin/python3"
    become = ["setpriv", "--reuid=12345", "--regid=12345", "--clear-groups"]
    done = subprocess.run(
        [*become, python, "-c", code, json.dumps([str(tmp_path)])],
        capture_output=True, text=True, check=False, cwd="/", env={"PATH": os.environ["PATH"]},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    granted, refusal, said = json.loads(done.stdout)
    assert granted, refusal
    assert said == "1000\nplanteddrwxr-xr-x\ndrwxr-xr-x\n"


async def test_a_machine_is_torn_down_to_the_end_however_often_it_is_cancelled() -> None:
    before = _children()

    async def hold() -> None:
        async with Sandbox(limits=SMALL).open(label="test", seed=0):
            await asyncio.sleep(60)

    task = asyncio.ensure_future(hold())
    await asyncio.sleep(0.3)
    for _ in range(20):
        task.cancel()
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert _children() <= before
