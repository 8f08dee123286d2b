"""Directories that only starting a virtual machine anew gives back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from vm_image import image, machines

from environments.sandbox import Sandbox
from scenarios import Obstacles, PrepareFailed, lay_out
from scenarios.suites.hurdles import errand
from scenarios.suites.hurdles.reference import run_errand, shell, told

if TYPE_CHECKING:
    from environments.vm import VirtualMachine

__all__ = ["image", "machines"]

pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.timeout(600)]

REBOOT = errand.facing(Obstacles.of(needed_reboot=1))


async def test_it_does_not_fit_a_machine_that_cannot_be_started_anew() -> None:
    async with Sandbox().open(label="reboot", seed=0) as lease:
        with pytest.raises(PrepareFailed, match="'needed-reboot' does not fit"):
            await lay_out(REBOOT, lease.control, 0)


async def test_a_virtual_machine_has_it_mended_by_being_started_anew(machines: VirtualMachine) -> None:
    async with machines.open(label="reboot", seed=1) as lease:
        world = await lay_out(REBOOT, lease.control, 1)
        assert world.site.restarts
        said = (await shell(lease.agent, (await told(lease.agent)).tally)).text
        (ran_into_it,) = await world.faced(lease.control, [said])
        await run_errand(lease.agent)
        await lease.control.freeze()
        (mended,) = await world.faced(lease.control, [said])
        verdict = await errand.oracle.judge(lease.control, world.secret, None)
    assert (ran_into_it.met, ran_into_it.repaired) == (True, False), said
    assert (mended.met, mended.repaired) == (True, True)
    assert verdict.status == "pass", verdict.reason
