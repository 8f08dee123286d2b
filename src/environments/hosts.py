"""The hosts that a machine consists of: one, unless its provider joins several on a network of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from environments.protocols import Control, Environment
    from environments.types import Lease

__all__ = ["agent_on", "control_on", "hosts_of"]


def hosts_of(control: Control) -> Mapping[str, Control]:
    """Return the control handle of every host by the name it has in the machine's network, the agent's first.

    A handle that keeps others as `hosts` speaks for a machine of several; any other for one without a name.
    """
    hosts: Mapping[str, Control] = getattr(control, "hosts", {})
    return hosts or {"": control}


def agent_on(lease: Lease, host: str) -> Environment:
    """Return the agent's handle on a host of a machine; the lease's own where no name is given.

    Raises:
        KeyError: the machine has no such host.
    """
    if not host:
        return lease.agent
    hosts: Mapping[str, Lease] = getattr(lease, "hosts", {})
    return hosts[host].agent


def control_on(control: Control, host: str) -> Control:
    """Return the control handle of a host of a machine; the given one where no name is given.

    Raises:
        KeyError: the machine has no such host.
    """
    return hosts_of(control)[host] if host else control
