"""What can go wrong with a machine, as opposed to with a command run on it.

    EnvironmentFault
    ├── Unavailable          the provider cannot open machines here; `mend` says what to do
    ├── Broken               the machine stopped answering; `by_agent` says whose doing it was
    │   ├── LinkLost         the way to the machine is gone; the machine itself may be well
    │   └── Leaked           something of the machine outlived it; `left` says what
    ├── Rebooted             the machine answers again, but it was started anew meanwhile
    ├── Closed               the agent's hands are off: the machine was frozen or closed
    ├── ContainmentRefused   the machine is not as closed as the work demands
    ├── ContainmentLost      it was, and is not any more
    └── Halted               the warden has ended every machine of this process

A command that exits non-zero or runs out of time is none of these: it is an
`ExecResult`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "Broken",
    "Closed",
    "ContainmentLost",
    "ContainmentRefused",
    "EnvironmentFault",
    "Halted",
    "Leaked",
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


class Leaked(Broken):
    """Something of a machine was still there after it was closed. Never the agent's doing: we let it."""

    def __init__(self, label: str, left: Sequence[str]) -> None:
        super().__init__(f"{label}: left behind {' and '.join(left)}", by_agent=False)
        self.left = tuple(left)


class Rebooted(EnvironmentFault):
    """The machine was started anew while a command ran. Raised once; the next command runs as usual."""


class Closed(EnvironmentFault):
    """The handle was used after its machine was frozen or closed."""


class ContainmentRefused(EnvironmentFault):
    """The certificate was not granted, so the work does not start."""


class ContainmentLost(EnvironmentFault):
    """A machine was found less closed than its certificate says, while the agent was on it or after."""


class Halted(EnvironmentFault):
    """The warden has ended every machine of this process: it was told to, or the lease was not renewed."""
