"""What can go wrong with a machine, as opposed to with a command run on it.

    EnvironmentFault
    ├── Unavailable          the provider cannot open machines here; `mend` says what to do
    ├── Broken               the machine stopped answering; `by_agent` says whose doing it was
    │   └── LinkLost         the way to the machine is gone; the machine itself may be well
    ├── Rebooted             the machine answers again, but it was started anew meanwhile
    ├── Closed               the agent's hands are off: the machine was frozen or closed
    └── ContainmentRefused   the machine is not as closed as the work demands

A command that exits non-zero or runs out of time is none of these: it is an
`ExecResult`.
"""

from __future__ import annotations

__all__ = [
    "Broken",
    "Closed",
    "ContainmentRefused",
    "EnvironmentFault",
    "LinkLost",
    "Rebooted",
    "Unavailable",
]


class EnvironmentFault(Exception):
    """A machine, not a command, failed."""


class Unavailable(EnvironmentFault):
    """The provider cannot open a machine on this host."""

    def __init__(self, reason: str, *, mend: str = "") -> None:
        super().__init__(f"{reason}; {mend}" if mend else reason)
        self.reason = reason
        self.mend = mend


class Broken(EnvironmentFault):
    """The machine no longer does what it is asked."""

    def __init__(self, reason: str, *, by_agent: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.by_agent = by_agent


class LinkLost(Broken):
    """The machine cannot be reached any more. Never the agent's doing: what it broke itself is `Broken`."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, by_agent=False)


class Rebooted(EnvironmentFault):
    """The machine was started anew while a command ran. Raised once; the next command runs as usual."""


class Closed(EnvironmentFault):
    """The handle was used after its machine was frozen or closed."""


class ContainmentRefused(EnvironmentFault):
    """The certificate was not granted, so the work does not start."""
