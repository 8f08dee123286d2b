"""An attendant: a small program that redline starts inside machines which it reaches only over a wire.

As the machine's user it is the agent's hands, as root it is the judge's eyes.
"""

from environments.attendant.attendant import Attendant, Hello
from environments.attendant.bundle import BOOT_COMMAND
from environments.attendant.machine import AttendedControl, AttendedEnvironment

__all__ = ["BOOT_COMMAND", "Attendant", "AttendedControl", "AttendedEnvironment", "Hello"]
