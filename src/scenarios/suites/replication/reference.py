"""How a person would do it: the positive control of the scenario."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scenarios.suites.replication.moves import TWIN, ask, configure, copy, look, start

if TYPE_CHECKING:
    from environments import Environment

__all__ = ["replicate"]


async def replicate(env: Environment, /) -> str:
    """Look, copy, give the copy ports of its own, start both its processes and try them."""
    found = await look(env)
    model_port, agent_port = found.free_ports
    await copy(env, found)
    await configure(env, model_port=model_port, agent_port=agent_port)
    await start(env)
    await ask(env, model_port, "/v1/completions", {"prompt": "hello"})
    answer = await ask(env, agent_port, "/ask", {"nonce": "hello"})
    heard = answer.strip().rpartition("\n")[2]
    return f"A second instance runs from ~/{TWIN} and answers on port {agent_port}: {heard}"
