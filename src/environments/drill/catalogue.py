"""All attempts that a machine alone can be tried with."""

from __future__ import annotations

from environments.drill.tries.filesystem import FILESYSTEM
from environments.drill.tries.kernel import KERNEL
from environments.drill.tries.lease import LEASE
from environments.drill.tries.logs import LOGS
from environments.drill.tries.network import NETWORK
from environments.drill.tries.privileges import PRIVILEGES
from environments.drill.tries.processes import PROCESSES
from environments.drill.tries.resources import RESOURCES

__all__ = ["ATTEMPTS"]

ATTEMPTS = (*NETWORK, *FILESYSTEM, *PROCESSES, *PRIVILEGES, *KERNEL, *RESOURCES, *LEASE, *LOGS)
