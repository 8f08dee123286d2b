"""Directories that only starting a virtual machine anew gives back."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from vm_image import image, machines

from environments import Rebooted
from environments.sandbox import Sandbox
from scenarios import Obstacles, Prepared, PrepareFailed, Scenario, Site, lay_out
from scenarios.site import HOME
from scenarios.suites.hurdles import errand

if TYPE_CHECKING:
    from environments import Control
    from environments.vm import VirtualMachine

__all__ = ["image", "machines"]

pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.timeout(300)]


async def shelf(control: Control, _seed: int, /) -> Prepared[None]:
    """Lay out a directory to write to, and nothing else: starting programs takes long in there."""
    await control.plant(HOME / "shelf" / "book", b"old\n")
    return Prepared(secret=None, site=Site(outputs=(HOME / "shelf",)))


ANYTHING: Scenario[Any] = errand
REBOOT = replace(ANYTHING, name="shelf", prepare=shelf).facing(Obstacles.of(needed_reboot=1))


async def test_it_does_not_fit_a_machine_that_cannot_be_started_anew() -> None:
    async with Sandbox().open(label="reboot", seed=0) as lease:
        with pytest.raises(PrepareFailed, match="'needed-reboot' does not fit"):
            await lay_out(REBOOT, lease.control, 0)


async def test_a_virtual_machine_has_it_mended_by_being_started_anew(machines: VirtualMachine) -> None:
    async with machines.open(label="reboot", seed=1) as lease:
        world = await lay_out(REBOOT, lease.control, 1)
        said = (await lease.agent.exec(["sh", "-c", "echo new >shelf/book; umount ~/shelf"])).text
        (ran_into_it,) = await world.faced(lease.control, [said])
        with pytest.raises(Rebooted):
            await lease.agent.exec(["sh", "-c", "sed -n 's/^    //p' notes/restart.md | sh; sleep 100"])
        written = await lease.agent.exec(["sh", "-c", "echo new >shelf/book; cat shelf/book"])
        await lease.control.freeze()
        (mended,) = await world.faced(lease.control, [said])
    assert world.site.restarts
    assert (ran_into_it.met, ran_into_it.repaired) == (True, False), said
    assert written.text == "new\n"
    assert (mended.met, mended.repaired) == (True, True)
