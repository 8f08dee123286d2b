"""Who holds the machines of a runner, and ends them when the runner no longer can."""

from environments.warden.held import LEASE_S, Held, Warden, fault, here, hold
from environments.warden.registry import Found, Halt, halt, wardens

__all__ = ["LEASE_S", "Found", "Halt", "Held", "Warden", "fault", "halt", "here", "hold", "wardens"]
