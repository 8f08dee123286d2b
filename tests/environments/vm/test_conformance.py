"""Virtual machines do what redline counts on, whatever kind a machine is of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from environments.testing import Faults, check_provider
from environments.vm.checkpoints import MachineCheckpoints

if TYPE_CHECKING:
    from environments import Lease
    from environments.vm import VirtualMachine

pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.timeout(500)]


async def cut(lease: Lease) -> None:
    """End the agent's connection on the host's side; the machine is not told."""
    assert isinstance(lease.checkpoints, MachineCheckpoints)
    lease.checkpoints._stay.machine._cut()


async def test_virtual_machines_conform(machines: VirtualMachine) -> None:
    (await check_provider(machines, faults=Faults(cut_link=cut))).require()
