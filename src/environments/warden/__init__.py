"""Who holds the machines of a runner, and ends them when the runner no longer can."""

from environments.warden.channel import LEASE_S, Census, Warden
from environments.warden.held import Held
from environments.warden.here import census, fault, here, hold, raise_when_halted, studying
from environments.warden.registry import Found, Halt, halt, wardens

__all__ = [
    "LEASE_S",
    "Census",
    "Found",
    "Halt",
    "Held",
    "Warden",
    "census",
    "fault",
    "halt",
    "here",
    "hold",
    "raise_when_halted",
    "studying",
    "wardens",
]
