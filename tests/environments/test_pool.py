"""A pool hands out each machine once, within bounds, whatever goes wrong with some of them."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from environments import Broken, Limits, Supply, Unavailable
from environments.pool import Pool
from environments.sandbox import Sandbox
from environments.testing import check_provider

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from environments import EnvironmentFault, Lease

pytestmark = pytest.mark.anyio

SMALL = Limits(memory_bytes=256 << 20, processes=64, disk_bytes=96 << 20)


@dataclass(kw_only=True)
class Counted:
    """Real sandboxes, counted; the first ones fail as they are told to."""

    faults: list[EnvironmentFault] = field(default_factory=list)
    supply: Supply = field(default_factory=Supply)
    delay_s: float = 0.0
    name: str = "counted"
    opened: int = 0
    living: int = 0
    most: int = 0
    labels: list[str] = field(default_factory=list)

    @asynccontextmanager
    async def open(self, *, label: str, seed: int) -> AsyncGenerator[Lease, None]:
        self.labels.append(label)
        if self.faults:
            raise self.faults.pop(0)
        self.living += 1
        self.most = max(self.most, self.living)
        try:
            await asyncio.sleep(self.delay_s)
            async with Sandbox(limits=SMALL).open(label=label, seed=seed) as lease:
                self.opened += 1
                yield lease
        finally:
            self.living -= 1


async def test_a_pool_conforms_as_its_provider_does() -> None:
    async with Pool(Sandbox(), ahead=2) as pool:
        (await check_provider(pool)).require()


async def test_machines_wait_for_their_users_and_are_used_once() -> None:
    provider = Counted(supply=Supply(ahead=2))
    async with Pool(provider) as pool:
        seen = set()
        for number in range(5):
            async with pool.open(label=str(number), seed=number) as lease:
                assert not (await lease.agent.exec(["cat", "mark"])).ok, "a machine came back"
                await lease.agent.exec(["sh", "-c", "echo used >mark"])
                seen.add(id(lease))
        assert provider.labels[0] == "ahead-0"
    assert len(seen) >= 1
    assert provider.opened >= 5
    assert provider.living == 0


async def test_no_more_machines_than_can_be_carried() -> None:
    provider = Counted(supply=Supply(most=3, ahead=2))

    async def use(pool: Pool, number: int) -> bytes:
        async with pool.open(label=str(number), seed=0) as lease:
            await asyncio.sleep(0.05)
            return (await lease.agent.exec(["echo", str(number)])).stdout

    async with Pool(provider) as pool:
        answers = await asyncio.gather(*(use(pool, number) for number in range(12)))
    assert answers == [b"%d\n" % number for number in range(12)]
    assert provider.most <= 3
    assert provider.living == 0


async def test_the_hosts_memory_is_a_bound() -> None:
    assert Pool(Counted(supply=Supply(occupies_bytes=1 << 50))).most == 1
    assert Pool(Counted(supply=Supply(occupies_bytes=1 << 20, most=4))).most == 4
    assert Pool(Counted()).most is None


async def test_a_failure_to_open_is_tried_again_elsewhere() -> None:
    bad = Counted(faults=[Broken("no", by_agent=False)] * 100)
    good = Counted()
    async with Pool(bad, good) as pool, pool.open(label="x", seed=0) as lease:
        assert (await lease.agent.exec(["true"])).ok
    assert good.opened == 1


async def test_what_can_never_be_had_is_said_at_once() -> None:
    provider = Counted(faults=[Unavailable("not here", mend="install it")] * 10)
    async with Pool(provider) as pool:
        with pytest.raises(Unavailable, match="install it"):
            async with pool.open(label="x", seed=0):
                pass
    assert len(provider.labels) == 1


async def test_one_trial_cannot_be_measured_where_others_could() -> None:
    provider = Counted()
    async with Pool(provider) as pool:
        async with pool.open(label="first", seed=0):
            pass
        provider.faults = [Unavailable("all hosts are dirty")] * 10
        with pytest.raises(Broken, match="all hosts are dirty"):
            async with pool.open(label="second", seed=0):
                pass
        provider.faults = []
        async with pool.open(label="third", seed=0):
            pass


async def test_cancelling_an_opening_leaves_no_machine() -> None:
    provider = Counted(delay_s=0.2)
    async with Pool(provider, most=1) as pool:

        async def use() -> None:
            async with pool.open(label="x", seed=0):
                await asyncio.sleep(10)

        for delay in (0.0, 0.1, 0.3):
            task = asyncio.create_task(use())
            await asyncio.sleep(delay)
            task.cancel()
            await asyncio.wait({task})
            assert provider.living == 0
        async with pool.open(label="after", seed=0) as lease:
            assert (await lease.agent.exec(["true"])).ok


async def test_machines_that_fail_in_use_do_not_hurt_the_next() -> None:
    provider = Counted()
    async with Pool(provider) as pool:
        with pytest.raises(RuntimeError, match="in use"):
            async with pool.open(label="x", seed=0):
                raise RuntimeError("in use")
        async with pool.open(label="y", seed=0) as lease:
            assert (await lease.agent.exec(["true"])).ok
    assert provider.living == 0
