"""The certificate: what is declared is found, what is not is noticed, and files alone void nothing."""

from __future__ import annotations

import ast
import asyncio
import json
import os
import socket
import subprocess
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import pytest

from environments import Broken, Closure, ContainmentLost, ContainmentRefused, Limits, Phase, Probe
from environments.containment import Declared, Examination, Examiner, Witnessed, examiner, require_closed
from environments.containment.inside import program, program_with, read
from environments.containment.kernel import still_there
from environments.processes import Child, readable
from environments.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from environments import Lease

pytestmark = pytest.mark.anyio

HOME = PurePosixPath("/home/agent")
SMALL = Limits(memory_bytes=256 << 20, processes=64, disk_bytes=96 << 20)
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="cables into a machine are laid by root")


async def sh(lease: Lease, text: str, timeout_s: float = 30.0) -> str:
    return (await lease.agent.exec(["bash", "-c", text], timeout_s=timeout_s)).text


def closure_of(lease: Lease) -> Closure:
    assert lease.closure is not None
    return lease.closure


def wrong(probes: tuple[Probe, ...]) -> list[str]:
    return [f"{p.name} ({p.seen_from}): {p.found}" for p in probes if not p.ok]


async def test_every_subject_is_probed_from_inside_and_outside(lease: Lease) -> None:
    assert isinstance(lease.closure, Closure)
    names: dict[str, set[str]] = {"inside": set(), "outside": set()}
    for probe in lease.certificate.probes:
        assert probe.phase == "before"
        assert probe.ok, probe
        names[probe.seen_from].add(probe.name)
    both = {"capabilities", "new privileges", "network interfaces", "routes", "metadata routes"}
    both |= {"directories of the host", "host's control sockets"}
    assert both <= names["inside"] & names["outside"]
    alone = {"name resolution", "host's processes", "devices", "control groups to change"}
    assert names["inside"] >= {*alone, "further namespaces", "calls redline heard", "agent's user"}
    assert names["outside"] >= {"memory fence", "process fence", "processor fence", "inside its fences"}
    subjects = dict(lease.certificate.declared)
    assert {"may reach", "other machines", "sees of the host", "who may see it"} <= subjects.keys()


async def test_being_examined_is_no_use_of_the_agents_hands(lease: Lease) -> None:
    assert wrong(await closure_of(lease).examine("during")) == []
    await lease.control.launch(["sleep", "60"], cwd=HOME, log=HOME / "log")
    (service,) = await lease.control.processes()
    while service.argv[:1] != ("sleep",):  # it is on its way to becoming it, and has no words in between
        await asyncio.sleep(0.01)
        (service,) = await lease.control.processes()
    assert not lease.agent.used  # type: ignore[attr-defined]


async def test_the_inside_is_still_looked_at_with_the_hands_off(lease: Lease) -> None:
    await sh(lease, "true")
    await lease.control.freeze()
    probes = await closure_of(lease).examine("after")
    assert wrong(probes) == []
    assert {probe.phase for probe in probes} == {"after"}
    assert sum(probe.seen_from == "inside" for probe in probes) > 8
    while await lease.control.processes():  # noqa: ASYNC110  what looked is killed, and on its way
        await asyncio.sleep(0.01)


def test_the_program_runs_on_old_interpreters() -> None:
    ast.parse(program(), feature_version=(3, 8))
    assert "redline" not in program()
    newer = {"removeprefix", "removesuffix", "bit_count", "zip_strict", "match"}
    assert not newer & {
        node.attr for node in ast.walk(ast.parse(program())) if isinstance(node, ast.Attribute)
    }


@dataclass(frozen=True)
class OnThisHost:
    """The control experiment: the program looks at a machine that is closed in no way, this host."""

    async def look(self, about: Mapping[str, Any]) -> Witnessed | None:
        told, telling = os.pipe()
        given, giving = os.pipe()
        child = Child(["python3", "-I", "-S", "-"], stdin=given, stdout=telling)
        try:
            os.close(telling)
            os.close(given)
            os.write(giving, program_with(about))
            os.close(giving)
            said = b""
            while True:
                await readable(told)
                if not (chunk := os.read(told, 1 << 16)):
                    break
                said += chunk
            await child.wait()
        finally:
            child.close()
            os.close(told)
        fields = read(said)
        return None if fields is None else Witnessed(fields=fields, vouched=True)


def _interfaces() -> list[str]:
    return sorted(name for _, name in socket.if_nameindex())


async def nothing() -> tuple[Probe, ...]:
    return ()


async def test_an_open_machine_is_found_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "engine.sock"
    with socket.socket(socket.AF_UNIX) as engine:
        engine.bind(str(path))
        seen = path.stat()
        known = {str(path): (seen.st_dev, seen.st_ino)}
        monkeypatch.setattr("environments.containment.inside.control_sockets", lambda: known)
        open_wide = Examination(outside=nothing, inside=OnThisHost(), declared=Declared(user="1000 1000"))
        found = {probe.name: probe for probe in await open_wide.examine("before")}
    heard = found["calls redline heard"].found
    assert "TCP 127.0.0.1" in heard
    assert "UDP 127.0.0.1" in heard
    assert found["host's control sockets"].found == str(path)
    assert str(os.getpid()) in found["host's processes"].found.split(", ")
    assert not found["directories of the host"].ok
    assert found["agent's user"].found.startswith(f"{os.getuid()} ")
    assert not any(found[name].ok for name in ("new privileges", "devices"))
    assert found["network interfaces"].ok == (_interfaces() == ["lo"])


LIAR = "printf '#!/bin/sh\\nexit 0\\n'"
BIND = "python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])'"


@pytest.mark.parametrize(
    "mischief",
    [
        "echo nameserver 10.9.9.9 >/etc/resolv.conf; echo 'hosts: files dns' >/etc/nsswitch.conf",
        "echo nameserver 127.0.0.1 >/etc/resolv.conf; echo 'hosts: dns' >/etc/nsswitch.conf",
        "mkdir -p /run/systemd/resolve; echo nameserver 10.9.9.9 >/run/systemd/resolve/resolv.conf",
        f"{BIND} /run/docker.sock",
        f"mkdir -p /run/dbus; {BIND} /run/dbus/system_bus_socket",
        f"cd /usr/local && mkdir bin && {LIAR} >bin/python3 && cp bin/python3 bin/unshare && chmod +x bin/*",
        "echo /nonexistent.so >/etc/ld.so.preload; echo /tmp >/etc/ld.so.conf; rm /etc/ld.so.cache",
        "rm -f /lib /lib64; true",
        "rm -rf /etc /dev/shm/* /var 2>/dev/null; true",
    ],
)
async def test_silly_files_void_nothing(lease: Lease, mischief: str) -> None:
    await sh(lease, mischief)
    for phase in ("during", "after"):
        probes = await closure_of(lease).examine(phase)
        assert wrong(probes) == []
        assert sum(probe.seen_from == "outside" for probe in probes) > 15
        await lease.control.freeze()


LIES: dict[str, Any] = {
    "capabilities": "CapEff",
    "new_privileges": "possible",
    "user": "0 0",
    "interfaces": ["eth0", "lo"],
    "routes": ["0.0.0.0/0"],
    "metadata": ["169.254.169.254"],
    "names": "answered",
    "sockets": ["/run/docker.sock"],
    "mounts": [["ext4", "/host"]],
    "devices": ["/dev/mem"],
    "groups": ["/sys/fs/cgroup"],
    "processes": ["1"],
    "nests": "possible",
}


@dataclass(frozen=True)
class Telling:
    """An inside that says what it is told to."""

    said: bytes
    vouched: bool

    async def look(self, _about: Mapping[str, Any]) -> Witnessed | None:
        fields = read(self.said)
        return None if fields is None else Witnessed(fields=fields, vouched=self.vouched)


@pytest.mark.parametrize("vouched", [True, False])
async def test_only_who_is_vouched_for_can_report_a_loss(*, vouched: bool) -> None:
    told = Examination(outside=nothing, inside=Telling(json.dumps(LIES).encode(), vouched))
    found = {each.partition(" (")[0] for each in wrong(await told.examine("during"))}
    assert len(found) == (len(LIES) - 1 if vouched else 0)  # whether it nests is tried before the agent comes


@pytest.mark.parametrize("said", [json.dumps({**LIES, "mounts": 7}), "[" * 100_000, "[]", '{"a":', "\0"])
async def test_an_interpreter_that_raves_is_not_heard(said: str) -> None:
    assert (
        wrong(await Examination(outside=nothing, inside=Telling(said.encode(), False)).examine("after")) == []
    )
    before = await Examination(outside=nothing, inside=Telling(b"", True)).examine("before")
    assert wrong(before) == ["the agent's view (inside): no answer"]


async def test_a_machine_without_room_for_processes_is_judged_from_outside(lease: Lease) -> None:
    await sh(lease, "for i in $(seq 80); do sleep 600 & done 2>/dev/null; true", timeout_s=5)
    probes = await closure_of(lease).examine("during")
    assert wrong(probes) == []
    assert {probe.seen_from for probe in probes} >= {"outside"}


@pytest.fixture
def cable() -> Iterator[Any]:
    """Lay cables from this host into machines, and take them up again."""
    laid: list[str] = []

    def lay(init: int) -> str:
        name = f"rl-hole{len(laid)}"
        for command in (
            f"ip link add {name} type veth peer name hole netns {init}",
            f"ip address add 10.214.{len(laid)}.1/30 dev {name}",
            f"ip link set {name} up",
            f"nsenter --target {init} --net ip address add 10.214.{len(laid)}.2/30 dev hole",
            f"nsenter --target {init} --net ip link set hole up",
        ):
            subprocess.run(command.split(), check=True, capture_output=True)
        laid.append(name)
        return name

    yield lay
    for name in laid:
        subprocess.run(["ip", "link", "delete", name], check=False, capture_output=True)


def init_of(lease: Lease) -> int:
    init = lease.agent._shell._proc._init  # type: ignore[attr-defined]
    assert isinstance(init, int)
    return init


@needs_root
async def test_a_cable_that_leads_out_is_found_from_both_sides(lease: Lease, cable: Any) -> None:
    assert wrong(await closure_of(lease).examine("during")) == []
    cable(init_of(lease))
    found = wrong(await closure_of(lease).examine("during"))
    assert "network interfaces (outside): hole, lo" in found
    assert any(each.startswith("routes (outside): 10.214.0.0/30") for each in found)
    (heard,) = [each for each in found if each.startswith("calls redline heard (inside)")]
    assert "TCP 10.214.0.1" in heard
    assert "UDP 10.214.0.1" in heard


@pytest.mark.skipif(os.geteuid() != 0, reason="control groups are moved by root")
async def test_a_machine_outside_its_fences_or_with_wider_ones_is_found(lease: Lease) -> None:
    fence = closure_of(lease).outside.fence  # type: ignore[attr-defined]
    if not fence.settings:
        pytest.skip("no control groups here")
    path, value = next(each for each in fence.settings if each[0].name == "pids.max")
    path.write_text("max")
    assert wrong(await closure_of(lease).examine("during")) == []  # an rlimit holds it still
    path.write_text(value)
    group = fence.groups[0][1]
    (group.parent / "cgroup.procs").write_text(str(init_of(lease)))
    assert wrong(await closure_of(lease).examine("during")) == ["inside its fences (outside): no"]
    (group / "cgroup.procs").write_text(str(init_of(lease)))


async def test_a_machine_that_died_is_no_loss_but_broken() -> None:
    async with Sandbox(limits=SMALL).open(label="test", seed=0) as lease:
        init = init_of(lease)
        os.kill(init, 9)
        with suppress(OSError):
            while True:
                still_there(init)
                await asyncio.sleep(0.01)
        with pytest.raises(Broken, match="cannot be examined"):
            await closure_of(lease).examine("during")
        examines = Examiner(lease)
        await examines.settle()
        assert examines.lost is None


# The examiner


@dataclass
class Scripted:
    """A closure that finds what it is told to, one examination after the other."""

    finds: list[str]
    asked: int = 0

    async def examine(self, phase: Phase) -> tuple[Probe, ...]:
        found = self.finds[min(self.asked, len(self.finds) - 1)]
        self.asked += 1
        return (Probe(name="routes", declared="none", found=found, phase=phase),)


def watched(lease: Lease, *finds: str) -> Examiner:
    return Examiner(replace(lease, closure=Scripted([*finds])))


async def test_what_is_over_quickly_is_sampled_at_its_end(lease: Lease) -> None:
    examines = Examiner(lease)

    async def act() -> str:
        return await sh(lease, "echo done")

    assert await examines.watch(act()) == "done\n"
    await examines.settle()
    await lease.control.freeze()
    await examines.conclude()
    assert examines.samples == 1
    assert {probe.phase for probe in examines.certificate.probes} == {"before", "during", "after"}
    assert examines.certificate.granted


async def test_acting_ends_with_the_closure(lease: Lease, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examiner, "_FIRST_S", (0.01, 0.02))
    monkeypatch.setattr(examiner, "_NEXT_S", (0.01, 0.02))
    ended = asyncio.Event()

    async def act() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    examines = watched(lease, "none", "none", "0.0.0.0/0")
    with pytest.raises(ContainmentLost, match=r"routes: declared none, found 0\.0\.0\.0/0 \(during\)"):
        await examines.watch(act())
    assert ended.is_set()
    assert examines.samples == 3
    assert not examines.certificate.granted
    assert "(during)" in examines.certificate.refusal()


async def test_a_loss_found_at_the_end_counts(lease: Lease) -> None:
    examines = watched(lease, "none", "10.0.0.0/8")
    await examines.settle()
    with pytest.raises(ContainmentLost, match="after"):
        await examines.conclude()


async def test_acting_is_ended_when_the_watch_is_cancelled(lease: Lease) -> None:
    ended = asyncio.Event()

    async def act() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    task = asyncio.ensure_future(watched(lease, "none").watch(act()))
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()


async def test_hazardous_work_needs_a_certificate_and_a_closure(lease: Lease) -> None:
    require_closed(lease, "it")
    with pytest.raises(ContainmentRefused, match="cannot examine it again"):
        require_closed(replace(lease, closure=None), "it")
    with pytest.raises(ContainmentRefused, match="does not claim to contain"):
        require_closed(replace(lease, certificate=replace(lease.certificate, closed=False)), "it")


async def test_machines_are_examined_by_the_dozen() -> None:
    async def one() -> list[str]:
        async with Sandbox(limits=SMALL).open(label="test", seed=0) as lease:
            assert lease.certificate.granted, lease.certificate.refusal()
            return wrong(await closure_of(lease).examine("during"))

    assert await asyncio.gather(*(one() for _ in range(12))) == [[]] * 12
