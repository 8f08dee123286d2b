"""A lab's hosts reach one another and nothing else, and nothing of a lab outlives it."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import textwrap
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from environments import Broken, Limits, Unavailable
from environments.containment.kernel import status_of
from environments.lab import Lab
from environments.lab.ids import ids_for
from environments.lab.obstacles import missing
from environments.processes import Child, output_of
from environments.sandbox.fences import hierarchies
from environments.ssh.link import Link
from environments.warden import here

if TYPE_CHECKING:
    from environments.lab import RunningLab
    from environments.ssh.address import SshHost

pytestmark = pytest.mark.anyio

SMALL = Limits(memory_bytes=256 << 20, processes=64, disk_bytes=96 << 20)
DENIED = "; timeout 1 bash -c 'exec 3<>/dev/tcp/{0}/{1} && echo REACHED'"


async def run(login: SshHost, text: str) -> str:
    link = Link(login)
    try:
        await link.open()
        wire = await link.wire(f"exec 2>&1; {text}")
        said = b""
        while data := await wire.receive():
            said += data
        wire.close()
    finally:
        await link.aclose()
    return said.decode()


async def test_names_resolve_inside_and_nowhere_else(lab: RunningLab) -> None:
    assert await run(
        lab.hosts["node3"].ssh, "hostname; getent hosts node1 node2; getent hosts deb.debian.org"
    ) == ("node3\n10.77.0.1       node1\n10.77.0.2       node2\n")
    with pytest.raises(OSError, match=r"[Nn]ame"):
        socket.getaddrinfo("node1", 22)


async def test_the_agent_gets_from_host_to_host(lab: RunningLab) -> None:
    said = await run(lab.hosts["node1"].ssh, "ssh node2 'hostname; ssh node3 \"hostname; whoami; id -u\"'")
    assert said == "node2\nnode3\nagent\n1000\n"


async def test_root_and_agent_have_keys_of_their_own(lab: RunningLab) -> None:
    host = lab.hosts["node2"]
    assert await run(host.root, "id -un") == "root\n"
    assert host.root.identities != host.ssh.identities
    assert len({known.ssh.host_key for known in lab.hosts.values()}) == 3
    assert "denied" in await run(host.ssh, "ssh root@node1 id")


async def test_nothing_leads_out(lab: RunningLab) -> None:
    _, said = await output_of(["ip", "-o", "-4", "address", "show"])
    addresses = [line.split()[3].partition("/")[0] for line in said.splitlines()]
    with socket.create_server(("", 0)) as canary:
        port = canary.getsockname()[1]
        tries = "".join(DENIED.format(address, port) for address in (*addresses, "192.0.2.1", "10.77.0.254"))
        for login in (lab.hosts["node1"].ssh, lab.hosts["node1"].root):
            said = await run(login, f"true {tries}")
            assert "REACHED" not in said
            assert "unreachable" in said
        canary.settimeout(0.1)
        with pytest.raises(TimeoutError):
            canary.accept()
    assert await run(lab.hosts["node1"].ssh, "ip route; ip -6 address") == (
        "10.77.0.0/24 dev eth0 proto kernel scope link src 10.77.0.1 \n"
    )


async def test_the_rules_hold_without_the_missing_route(lab: RunningLab) -> None:
    """With a route and an address that the host could answer from, its own rules still drop the packet."""
    init = lab.hosts["node1"].init
    enter = ["nsenter", f"--target={init}", "--user", "--net", "--setuid=0", "--setgid=0", "--"]
    status, said = await output_of([*enter, "ip", "route", "add", "default", "via", "10.77.0.2"])
    assert status == 0, said
    said = await run(
        lab.hosts["node1"].ssh, "timeout 2 bash -c 'exec 3<>/dev/tcp/192.0.2.1/80' || echo no way"
    )
    assert said.endswith("no way\n")
    _, said = await output_of([*enter, "nft", "-j", "list", "chains"])
    policies = {
        c["chain"]["name"]: c["chain"]["policy"] for c in json.loads(said)["nftables"] if "chain" in c
    }
    assert policies == {"arriving": "drop", "leaving": "drop", "passing": "drop"}


async def test_not_even_a_hosts_root_changes_the_rules(lab: RunningLab) -> None:
    root = lab.hosts["node1"].root
    assert "not permitted" in await run(root, "nft flush ruleset; nft list ruleset")
    assert "not permitted" in await run(root, "ip route add default dev eth0")
    assert "unshare failed" in await run(root, "unshare --user --map-root-user true")
    assert "denied" in await run(root, "mount -t tmpfs x /mnt")


async def test_the_real_hosts_users_own_nothing_of_it(lab: RunningLab) -> None:
    seen = set()
    for host in lab.hosts.values():
        uid = int(status_of(host.init)["Uid"].split()[0])
        assert uid == host.root_id[0] > 1_900_000_000
        seen.add(uid)
    assert len(seen) == 3


async def test_a_host_is_cut_off_and_mended(lab: RunningLab) -> None:
    ask = "timeout 1 bash -c 'exec 3<>/dev/tcp/node2/22; read -r line <&3; echo $line' || echo silence"
    assert "SSH-2.0" in await run(lab.hosts["node1"].ssh, ask)
    await lab.cut("node2")
    assert await run(lab.hosts["node1"].ssh, ask) == "silence\n"
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await lab.connect("node2", 22)
    (await lab.connect("node3", 22)).close()
    await lab.mend("node2")
    assert "SSH-2.0" in await run(lab.hosts["node1"].ssh, ask)
    (await lab.connect("node2", 22)).close()


async def test_a_server_is_killed_and_started(lab: RunningLab) -> None:
    await lab.kill_sshd("node1")
    with pytest.raises(ConnectionRefusedError):
        await lab.connect("node1", 22)
    assert await run(lab.hosts["node2"].ssh, "hostname") == "node2\n"
    await lab.start_sshd("node1")
    assert await run(lab.hosts["node1"].ssh, "hostname") == "node1\n"


async def test_every_host_has_fences_of_its_own(lab: RunningLab) -> None:
    groups = [group for host in lab.hosts.values() for _, group in host.fence.groups]
    assert len(groups) == len(set(groups)) == 3 * len(hierarchies())
    for host in lab.hosts.values():
        assert host.fence.holds(host.init)
    said = await run(lab.hosts["node1"].ssh, "dd if=/dev/zero of=big bs=1M count=200; ulimit -n")
    assert "No space left" in said
    assert said.endswith("1024\n")


def _children() -> set[str]:
    here()  # the warden stays for as long as the loop does
    return set(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())


async def test_nothing_is_left_of_a_lab() -> None:
    before, descriptors = _children(), len(os.listdir("/proc/self/fd"))
    async with Lab(hosts=2, limits=SMALL).up() as lab:
        said = await run(
            lab.hosts["node2"].ssh,
            "trap '' HUP TERM; setsid nohup sleep 10123 >/dev/null 2>&1 </dev/null & sleep 0.2",
        )
        assert said == ""
        users = range(lab.hosts["node1"].root_id[0] - 1, lab.hosts["node2"].agent_id[0] + 1)
        assert "sleep" in _of(users)
        groups = [group for host in lab.hosts.values() for _, group in host.fence.groups]
        key = lab.hosts["node1"].ssh.identities[0]
        assert key.exists()
    assert _of(users) == []
    assert not any(group.exists() for group in groups)
    assert not key.exists()
    assert _children() <= before
    assert len(os.listdir("/proc/self/fd")) <= descriptors


async def test_what_is_left_is_named() -> None:
    async with AsyncExitStack() as stack:
        lab = await stack.enter_async_context(Lab(hosts=1, limits=SMALL).up())
        stray = Child(["nsenter", f"--target={lab.hosts['node1'].init}", "--net", "--", "sleep", "60"])
        await asyncio.sleep(0.2)
        with pytest.raises(Broken, match=r"left behind process \d+ \(sleep\)"):
            await stack.pop_all().aclose()
        stray.close()
        lab = await stack.enter_async_context(Lab(hosts=1, limits=SMALL).up())
        with await lab.connect("node1", 22), pytest.raises(Broken, match="1 open connection"):
            await stack.pop_all().aclose()


async def test_cancelling_while_opening_leaves_nothing() -> None:
    async def hold() -> None:
        async with Lab(hosts=2, limits=SMALL).up():
            await asyncio.sleep(60)

    before, groups = _children(), _groups()
    for delay in (0.0, 0.005, 0.02, 0.04, 0.06, 0.08, 0.1, 0.15, 0.2, 0.3):
        task = asyncio.ensure_future(hold())
        await asyncio.sleep(delay)
        for _ in range(3):
            task.cancel()
            await asyncio.sleep(0)
        with pytest.raises(asyncio.CancelledError):
            await task
        assert _children() <= before, f"cancelled after {delay} s"
        assert _groups() <= groups
    assert "node2" not in _running()


def _groups() -> set[Path]:
    return {group for hierarchy in hierarchies() for group in hierarchy.parent.glob("lab-*")}


def _of(users: range) -> list[str]:
    """Processes of users that nobody but the lab has."""
    lines = subprocess.run(["ps", "-eo", "uid=,comm="], capture_output=True, text=True, check=True).stdout
    return [line.split()[1] for line in lines.splitlines() if int(line.split()[0]) in users]


def _running() -> str:
    lines = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    return "\n".join(line for line in lines.splitlines() if "<defunct>" not in line)


RUNNER = textwrap.dedent("""
    import asyncio, json, sys
    from environments.lab import Lab
    from environments.ssh.link import Link

    async def main():
        async with Lab(hosts=2).up() as lab:
            host = lab.hosts["node2"]
            link = Link(host.ssh)
            await link.open()
            await link.wire("trap '' TERM HUP; setsid sleep 98766 >/dev/null 2>&1 </dev/null & sleep 60")
            await asyncio.sleep(0.3)
            users = [lab.hosts["node1"].root_id[0] - 1, host.agent_id[0] + 1]
            groups = [str(group) for host in lab.hosts.values() for _, group in host.fence.groups]
            print(json.dumps([users, groups]), flush=True)
            await asyncio.sleep(60)

    asyncio.run(main())
""")


def test_a_lab_dies_with_its_runner() -> None:
    runner = subprocess.Popen([sys.executable, "-c", RUNNER], stdout=subprocess.PIPE, text=True)
    assert runner.stdout is not None
    users, groups = json.loads(runner.stdout.readline())
    assert "sleep" in _of(range(*users))
    assert all(Path(group).exists() for group in groups)
    runner.kill()
    runner.wait()
    runner.stdout.close()
    deadline = time.monotonic() + 5
    while left := [*_of(range(*users)), *(group for group in groups if Path(group).exists())]:
        assert time.monotonic() < deadline, f"outlived the runner: {left}"
        time.sleep(0.05)


async def test_labs_stand_side_by_side() -> None:
    async def one(number: int) -> str:
        async with Lab(hosts=("web", "db"), limits=SMALL).up() as lab:
            there = f"ssh db 'echo {number} >file; hostname'"
            text = f"echo {number} >file; sleep 0.3; {there}; cat file; ssh db cat file"
            return await run(lab.hosts["web"].ssh, text)

    assert await asyncio.gather(*map(one, range(3))) == [f"db\n{n}\n{n}\n" for n in range(3)]


async def test_twenty_hosts_at_once() -> None:
    async with Lab(hosts=20, limits=SMALL).up() as lab:
        said = await asyncio.gather(*(run(host.ssh, "hostname") for host in lab.hosts.values()))
        assert said == [f"node{number}\n" for number in range(1, 21)]
        chain = await run(lab.hosts["node1"].ssh, "ssh node20 hostname")
        assert chain == "node20\n"


@pytest.mark.parametrize("hosts", [0, 251, ("a", "a"), ("localhost",), ("A",), ("a b",), ("-a",)])
async def test_hosts_that_cannot_be_are_refused(hosts: int | tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="host"):
        async with Lab(hosts=hosts).up():
            pass


def test_what_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("environments.lab.obstacles._PATH", "/nonexistent")
    fault = missing()
    assert isinstance(fault, Unavailable)
    assert "sshd" in fault.reason
    assert fault.mend == (
        "sudo apt-get install bash bubblewrap iproute2 nftables openssh-client openssh-server tar util-linux"
    )


def test_a_user_without_ids_to_hand_out_is_told_how_to_get_some(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 54321)
    with pytest.raises(Unavailable, match="--add-subuids 600000-665535"):
        ids_for(2)


ORDINARY = textwrap.dedent("""
    import asyncio, json, sys
    sys.path[:0] = json.loads(sys.argv[1])
    from pathlib import PurePosixPath as P
    from environments.lab import LabMachine

    async def main():
        async with LabMachine(hosts=2).open(label="x", seed=0) as lease:
            await lease.control.plant(P("/home/agent/a/b"), b"planted")
            said = (await lease.agent.exec(["bash", "-c", "id -un; cat a/b; ssh node2 hostname"])).text
            certificate = lease.certificate
            print(json.dumps([certificate.granted, certificate.refusal(), lease.control.grade, said]))

    asyncio.run(main())
""")
BECOME_ORDINARY = textwrap.dedent("""
    mount --make-rprivate /
    cd "$1"
    { cat /etc/passwd; echo tester:x:54321:54321::/tmp:/bin/sh; } >passwd
    echo tester:600000:65536 >ids
    mount --bind passwd /etc/passwd
    for table in /etc/subuid /etc/subgid; do mount --bind ids $table || exit 75; done
    shift
    export HOME=/tmp
    exec setpriv --reuid=54321 --regid=54321 --clear-groups "$@"
""")


def test_an_ordinary_user_with_ids_set_aside_gets_a_lab(tmp_path: Path) -> None:
    python = "/usr/bin/python3"
    source = Path(__file__).resolve().parents[3] / "src" / "environments"
    subprocess.run(["cp", "-r", str(source), str(tmp_path / "environments")], check=True)
    subprocess.run(["chmod", "-R", "a+rX", str(tmp_path)], check=True)
    for parent in tmp_path.parents:
        if str(parent).startswith("/tmp/"):  # noqa: S108
            parent.chmod(parent.stat().st_mode | 0o055)
    libraries = str(Path(pytest.__file__).parents[1])
    paths = json.dumps([str(tmp_path), libraries])
    become = ["unshare", "--mount", "bash", "-c", BECOME_ORDINARY, "become", str(tmp_path)]
    probe = "import json, sys; sys.path[:0] = json.loads(sys.argv[1]); import asyncssh"
    able = subprocess.run([*become, python, "-c", probe, paths], check=False, capture_output=True, text=True)
    if able.returncode:
        pytest.skip(f"an ordinary user's Python does not get at the libraries: {able.stderr[-200:]}")
    done = subprocess.run(
        [*become, python, "-c", ORDINARY, paths], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    granted, refusal, grade, said = json.loads(done.stdout)
    assert granted, refusal
    assert (grade, said) == ("root_shell", "agent\nplantednode2\n")
