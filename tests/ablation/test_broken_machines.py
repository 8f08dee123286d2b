"""A machine breaks in the middle of a trial: the trial ends as what it was, and the study goes on."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from small_studies import note
from vm_image import image, machines

from ablation import Arm, Study, run_study
from environments import EnvironmentFault, Unavailable
from environments.attendant import AttendedControl
from environments.lab import LabLease, LabMachine
from environments.vm.checkpoints import MachineCheckpoints
from scaffold import Budget, FacultyScaffold
from scaffold.models.scripted import Scripted, call

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable
    from pathlib import Path

    from ablation.types import TrialRecord
    from environments import Lease, Provider
    from environments.vm import VirtualMachine

__all__ = ["image", "machines"]

pytestmark = pytest.mark.anyio

SLOWLY = Scripted(
    replies=[
        [call("shell", command="sleep 1.5; cp word.txt note.txt")],
        [call("shell", command="cat note.txt")],
        [call("finish", summary="done")],
    ]
)


@dataclass(kw_only=True)
class Breaking:
    """Machines of a real provider; the first is broken soon after it was opened."""

    inner: Provider
    sabotage: Callable[[Any], Awaitable[None]]
    name: str = "breaking"
    broken: list[Lease] = field(default_factory=list)

    @asynccontextmanager
    async def open(self, *, label: str, seed: int) -> AsyncGenerator[Lease, None]:
        async with self.inner.open(label=label, seed=seed) as lease:
            if self.broken:
                yield lease
                return
            self.broken.append(lease)
            breaking = asyncio.create_task(self._break(lease))
            try:
                yield lease
            finally:
                breaking.cancel()
                await asyncio.wait({breaking})

    async def _break(self, lease: Lease) -> None:
        for _ in range(600):
            if await self._begun(lease):
                break
            await asyncio.sleep(0.05)
        await self.sabotage(lease)

    async def _begun(self, lease: Lease) -> bool:
        return any("1.5" in process.argv for process in await lease.control.processes())


async def records_of(provider: Provider, out: Path, *, subject: Scripted = SLOWLY) -> list[TrialRecord]:
    study = Study(
        name="broken",
        arms=[Arm(name="full", scaffold=FacultyScaffold(explore=None, plan=None, repair=None))],
        scenarios=[note],
        seeds=range(2),
        subject=subject,
        environment=provider,
        budget=Budget(steps=6, seconds=100),
        controls=False,
        void_retries=0,
    )
    return list((await run_study(study, out, concurrency=1)).records)


@pytest.fixture
async def lab() -> LabMachine:
    machine = LabMachine(hosts=1)
    try:
        async with machine.open(label="probe", seed=0):
            return machine
    except Unavailable as fault:
        pytest.skip(str(fault))


async def test_a_killed_ssh_server_that_comes_back_costs_nothing(lab: LabMachine, tmp_path: Path) -> None:
    async def restart(lease: LabLease) -> None:
        await lease.lab.kill_sshd("node1")
        await asyncio.sleep(0.5)
        await lease.lab.start_sshd("node1")

    first, second = await records_of(Breaking(inner=lab, sabotage=restart), tmp_path / "out")
    assert (first.outcome, second.outcome) == ("success", "success"), first.cause


async def test_a_link_that_stays_cut_makes_the_trial_void(lab: LabMachine, tmp_path: Path) -> None:
    async def kill(lease: LabLease) -> None:
        await lease.lab.kill_sshd("node1")

    first, second = await records_of(Breaking(inner=lab, sabotage=kill), tmp_path / "out")
    assert first.outcome == "void"
    assert "LinkLost" in first.cause
    assert "node1" in first.cause
    assert second.outcome == "success", "the study did not go on"


async def test_packets_that_are_dropped_for_a_while_cost_nothing(lab: LabMachine, tmp_path: Path) -> None:
    async def drop(lease: LabLease) -> None:
        await lease.lab.cut("node1")
        await asyncio.sleep(2)
        await lease.lab.mend("node1")

    first, second = await records_of(Breaking(inner=lab, sabotage=drop), tmp_path / "out")
    assert (first.outcome, second.outcome) == ("success", "success"), first.cause


async def test_a_full_disk_is_the_agents_own_affair(lab: LabMachine, tmp_path: Path) -> None:
    filling = Scripted(
        replies=[
            [call("shell", command="cat /dev/zero >big; echo over >word.txt")],
            [call("shell", command="cp word.txt note.txt")],
            [call("finish", summary="done")],
        ]
    )
    first, second = await records_of(lab, tmp_path / "out", subject=filling)
    assert (first.outcome, second.outcome) == ("failure", "failure")


async def test_an_emulator_that_is_killed_makes_the_trial_void(
    machines: VirtualMachine,
    tmp_path: Path,
) -> None:
    async def kill(lease: Lease) -> None:
        assert isinstance(lease.checkpoints, MachineCheckpoints)
        lease.checkpoints._stay.machine.kill()

    first, second = await records_of(Breaking(inner=machines, sabotage=kill), tmp_path / "out")
    assert first.outcome == "void"
    assert "its emulator was ended by SIGKILL" in first.cause
    assert second.outcome == "success", second.cause


async def test_a_guest_that_is_rebooted_goes_on_and_the_subject_is_told(
    machines: VirtualMachine,
    tmp_path: Path,
) -> None:
    async def reboot(lease: Lease) -> None:
        assert isinstance(lease.control, AttendedControl)
        with suppress(EnvironmentFault):
            await lease.control.tell(["sh", "-c", "sync; echo b >/proc/sysrq-trigger"], timeout_s=5)

    again = Scripted(
        replies=[
            [call("shell", command="sleep 1.5; cp word.txt note.txt")],
            [call("shell", command="cp word.txt note.txt")],
            [call("finish", summary="done")],
        ]
    )
    breaking = Breaking(inner=machines, sabotage=reboot)
    first, second = await records_of(breaking, tmp_path / "out", subject=again)
    assert (first.outcome, second.outcome) == ("success", "success"), first.cause
    log = (tmp_path / "out" / first.log).read_text()
    assert "was started anew while this ran" in log
