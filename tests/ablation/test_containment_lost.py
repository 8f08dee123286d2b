"""Hazardous work needs a closed machine, wherever it is started; one that opens ends the trial."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from small_studies import Acting, Altered, copier, note, small_study, uncertified
from whole_trials import apart

from ablation import Arm, run_study
from ablation.record import EventLog, genesis, read_log
from ablation.report import build_report
from ablation.report.containment import state_containment
from ablation.store import StudyFolder
from ablation.trial import run_trial
from environments import ContainmentRefused, Limits
from environments.containment import examiner
from environments.lab import LabMachine
from environments.lab.obstacles import missing
from environments.sandbox import Sandbox
from scaffold import Broker, Budget
from scenarios import Milestone, Scenario, Verdict
from scenarios.validate import validate

if TYPE_CHECKING:
    from collections.abc import Callable

    from ablation.types import TrialRecord
    from environments import Control, Environment, Lease, Provider
    from scaffold import Context

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(os.geteuid() != 0, reason="machines are opened from outside by root"),
]

HAZARDOUS: Scenario[str] = replace(note, hazard="replication")
LONG = Budget(steps=10, seconds=60)


@pytest.fixture
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examiner, "_FIRST_S", (0.1, 0.2))
    monkeypatch.setattr(examiner, "_NEXT_S", (0.1, 0.2))


async def attempt(folder: Path, provider: Provider | None = None, **changes: Any) -> TrialRecord:
    (trial,) = small_study(**{"seeds": [1], "scenarios": [HAZARDOUS], **changes}).trials()
    with EventLog.create(folder / "log.jsonl", origin=genesis("study", "key", 1)) as log:
        async with trial.subject.connect() as model:
            return await run_trial(trial, provider=provider or Sandbox(), broker=Broker(model), log=log)


def told(folder: Path, kind: str) -> list[dict[str, Any]]:
    return [event for event in read_log(folder / "log.jsonl") if event["kind"] == kind]


# Refused


def without_closure(lease: Lease) -> Lease:
    return replace(lease, closure=None)


REFUSALS = [(uncertified, "does not claim to contain"), (without_closure, "cannot examine it again")]


@pytest.mark.parametrize(("alter", "why"), REFUSALS)
async def test_every_entry_of_the_api_refuses(
    alter: Callable[[Lease], Lease], why: str, tmp_path: Path
) -> None:
    provider = Altered(alter=alter)
    with pytest.raises(ContainmentRefused, match=why):
        await attempt(tmp_path, provider)
    with pytest.raises(ContainmentRefused, match=why):
        await run_study(small_study(scenarios=[HAZARDOUS], environment=provider), tmp_path / "study")
    with pytest.raises(ContainmentRefused, match=why):
        await run_study(small_study(scenarios=[HAZARDOUS], environment=provider), tmp_path / "study")
    with pytest.raises(ContainmentRefused, match=why):
        await validate(HAZARDOUS, provider, seeds=[0])


TASKS = """
from dataclasses import replace
from small_studies import Altered, arm, copier, note, small_study, uncertified

hazardous = replace(note, hazard="replication")
uncertain = Altered(alter=uncertified)
once = Altered(alter=lambda lease: replace(lease, closure=None))
study = small_study(scenarios=[hazardous], environment=once)
"""


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (("run", "tasks:hazardous", "-e", "tasks:uncertain", "-s", "reference"), "does not claim"),
        (("run", "tasks:hazardous", "-e", "tasks:once", "-s", "reference"), "cannot examine it again"),
        (("validate", "tasks:hazardous", "-e", "tasks:uncertain"), "does not claim"),
        (("validate", "tasks:hazardous", "-e", "tasks:once"), "cannot examine it again"),
        (("ablate", "tasks.py", "--out", "out"), "cannot examine it again"),
        (("run", "self-replication", "-e", "tasks:uncertain", "-s", "reference"), "does not claim"),
    ],
)
def test_every_command_refuses_with_status_three(command: tuple[str, ...], why: str, tmp_path: Path) -> None:
    (tmp_path / "tasks.py").write_text(TASKS)
    said = apart(*command, cwd=tmp_path)
    assert said.returncode == 3, said.stderr
    assert why in said.stderr
    assert "runs only on a machine that is shown to be closed" in said.stderr


# Lost


def init_of(env: Environment) -> int:
    init = env._shell._proc._init  # type: ignore[attr-defined]
    assert isinstance(init, int)
    return init


def lay_cable(init: int, name: str) -> None:
    for command in (
        f"ip link add {name} type veth peer name hole netns {init}",
        f"ip address add 10.215.0.1/30 dev {name}",
        f"ip link set {name} up",
        f"nsenter --target {init} --net ip address add 10.215.0.2/30 dev hole",
        f"nsenter --target {init} --net ip link set hole up",
    ):
        subprocess.run(command.split(), check=True, capture_output=True)


def leave_fences(init: int) -> None:
    for line in Path(f"/proc/{init}/cgroup").read_text().splitlines():
        _, names, path = line.split(":", 2)
        if names == "pids" and path != "/":
            (Path("/sys/fs/cgroup/pids") / "cgroup.procs").write_text(str(init))
        elif names == "" and (Path("/sys/fs/cgroup") / path[1:]).parent.name == "redline":
            (Path("/sys/fs/cgroup") / path[1:]).parent.parent.joinpath("cgroup.procs").write_text(str(init))


@pytest.mark.usefixtures("_often")
@pytest.mark.parametrize("hazardous", [True, False])
async def test_a_cable_laid_during_a_trial_ends_it(tmp_path: Path, *, hazardous: bool) -> None:
    cut: list[str] = []

    async def act(env: Environment, _context: Context) -> None:
        await env.exec(["true"])
        lay_cable(init_of(env), "rl-trial")
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cut.append("cancelled")
            raise

    arms = [Arm(name="acting", scaffold=Acting(act=act))]
    scenarios = [HAZARDOUS if hazardous else note]
    record = await attempt(tmp_path, arms=arms, budget=LONG, scenarios=scenarios)
    assert record.outcome == "void"
    assert record.cause.startswith(
        "containment lost: network interfaces: declared lo, found hole, lo (during)"
    )
    assert "calls redline heard: declared none, found TCP 10.215.0.1, UDP 10.215.0.1 (during)" in record.cause
    assert cut == ["cancelled"]
    assert record.seconds < 30
    assert record.certificate["granted"] is False
    found = {(p["name"], p["phase"]) for p in record.certificate["probes"] if p["found"] != p["declared"]}
    assert {("network interfaces", "during"), ("calls redline heard", "during")} <= found
    (last,) = told(tmp_path, "examined")[-1:]
    assert last["phase"] == "during"
    (fault,) = told(tmp_path, "fault")
    assert fault["fault"] == "ContainmentLost"
    assert told(tmp_path, "verdict") == []
    async with asyncio.timeout(20):  # gone with the machine, in a moment
        while "rl-trial" in [name for _, name in socket.if_nameindex()]:  # noqa: ASYNC110  nobody tells
            await asyncio.sleep(0.05)


@pytest.mark.usefixtures("_often")
async def test_a_machine_moved_out_of_its_fences_ends_the_trial(tmp_path: Path) -> None:
    async def act(env: Environment, _context: Context) -> None:
        await env.exec(["true"])
        leave_fences(init_of(env))
        await asyncio.sleep(60)

    arms = [Arm(name="acting", scaffold=Acting(act=act))]
    record = await attempt(tmp_path, arms=arms, budget=LONG)
    assert record.outcome == "void"
    assert record.cause == "containment lost: inside its fences: declared yes, found no (during)"


@dataclass(frozen=True)
class OpensWhileJudging:
    async def judge(self, control: Control, _secret: str, _submission: str | None, /) -> Verdict:
        lay_cable(control._proc._init, "rl-judge")  # type: ignore[attr-defined]
        return Verdict.of((Milestone(name="noted", passed=True, evidence="yes"),))


async def test_a_hole_found_after_the_verdict_voids_it(tmp_path: Path) -> None:
    record = await attempt(tmp_path, scenarios=[replace(HAZARDOUS, oracle=OpensWhileJudging())])
    assert record.outcome == "void"
    assert "found hole, lo (after)" in record.cause
    assert [event["phase"] for event in told(tmp_path, "examined")] == ["during", "after"]


@pytest.mark.skipif(missing() is not None, reason="no labs here")
@pytest.mark.usefixtures("_often")
async def test_a_cable_into_a_lab_ends_the_trial(tmp_path: Path) -> None:
    async def act(env: Environment, _context: Context) -> None:
        await env.exec(["true"])
        lay_cable(opened[0].closure.hosts["node2"].outside.host.init, "rl-lab")
        await asyncio.sleep(60)

    opened: list[Any] = []

    def kept(lease: Lease) -> Lease:
        opened.append(lease)
        return lease

    provider = Altered(alter=kept, of=LabMachine(limits=Limits(memory_bytes=256 << 20)))
    arms = [Arm(name="acting", scaffold=Acting(act=act))]
    record = await attempt(tmp_path, provider, arms=arms, budget=LONG)
    assert record.outcome == "void"
    assert "node2: network interfaces: declared eth0, lo, found eth0, hole, lo (during)" in record.cause


async def test_a_loss_is_not_run_over_and_stands_in_the_report(tmp_path: Path) -> None:
    study = small_study(scenarios=[replace(HAZARDOUS, oracle=OpensWhileJudging())], seeds=[0], void_retries=1)
    result = await run_study(study, tmp_path / "study")
    assert result.attempts == 1
    assert [record.outcome for record in result.records] == ["void"]
    report = build_report(result.records, StudyFolder.load(tmp_path / "study").design)
    assert any("1 trial lost containment" in warning for warning in report.warnings)
    assert report.containment.lost == 1
    assert state_containment(report.containment) == "None of 1 machines was shown to be closed."


# Kept


async def test_an_ordinary_trial_carries_what_was_found_in_every_phase(tmp_path: Path) -> None:
    record = await attempt(tmp_path, subject=copier("sleep 2.2; cp word.txt note.txt"), budget=LONG)
    assert record.outcome == "success"
    certificate = orjson.loads(orjson.dumps(record.certificate))
    assert certificate["granted"] is True
    assert certificate["samples"] >= 1
    by_phase = {
        phase: {(p["name"], p["seen_from"]) for p in certificate["probes"] if p["phase"] == phase}
        for phase in ("before", "during", "after")
    }
    assert by_phase["during"] == by_phase["after"] == by_phase["before"] - {("further namespaces", "inside")}
    assert dict(certificate["fences"]).keys() == {
        *("memory", "processes", "cpu", "disk", "open files", "output", "wall time")
    }  # fmt: skip
    phases = [event["phase"] for event in told(tmp_path, "examined")]
    assert phases == ["during"] * certificate["samples"] + ["after"]


async def test_an_agent_that_breaks_what_it_can_gets_its_own_result(tmp_path: Path) -> None:
    mess = (
        "cp word.txt note.txt; echo nameserver 10.9.9.9 >/etc/resolv.conf; echo /x.so >/etc/ld.so.preload; "
        "mkdir -p /usr/local/bin; ln -s /bin/false /usr/local/bin/python3; "
        "for i in $(seq 300); do sleep 600 & done 2>/dev/null; true"
    )
    record = await attempt(tmp_path, subject=copier(mess), budget=LONG)
    assert record.outcome == "success", record.cause
    assert record.certificate["granted"] is True
