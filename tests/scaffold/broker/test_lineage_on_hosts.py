"""Generations on several hosts: what begins on a host is the doing of the loop that runs there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from environments.lab import LabMachine
from scaffold import Broker, Budget, Context
from scaffold.broker import census_of
from scaffold.events import GenerationEnded
from scaffold.models.scripted import Scripted

if TYPE_CHECKING:
    from environments import Environment
    from scaffold.events import Event

pytestmark = pytest.mark.anyio


async def leave(env: Environment, *names: str) -> None:
    serve = "sleep 300 </dev/null >/dev/null 2>&1 &"
    await env.exec(["bash", "-c", f"touch {' '.join(names)}; {serve}"])


async def test_each_host_has_its_own_account() -> None:
    events: list[Event] = []
    async with LabMachine(hosts=2).open(label="family", seed=0) as lease:
        one, two = lease.hosts["node1"], lease.hosts["node2"]
        await leave(two.agent, "of-the-world")
        census = census_of({name: host.control for name, host in lease.hosts.items()})
        lineage = Broker(Scripted(replies=[])).admit(
            budget=Budget(), emit=events.append, census=census, world=await census(), machine="node1"
        )
        context = Context(env=one.agent, key=lineage.first, seed=0, gate=lease.gate)
        await leave(two.agent, "sent-ahead")  # reached from the first host, before anybody lives there
        async with context.descend(env=two.agent, gate=two.gate, machine="node2") as child:
            assert child.key.machine == "node2"
            await leave(child.env, "a", "b", "c")
            await leave(one.agent, "meanwhile")  # the parent's loop goes on
        await lineage.close()
    younger, older = (event for event in events if isinstance(event, GenerationEnded))
    assert (younger.number, younger.machine, younger.processes, younger.files) == (1, "node2", 1, 3)
    assert (older.number, older.machine, older.processes, older.files) == (0, "node1", 2, 2)
