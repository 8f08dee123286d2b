"""A battery that tries to get out of a machine, and a drill of the kill switch.

It is a test of redline's own containment. Attempts aim at listeners, files and processes that the drill made
for them; they see what can be reached, what is permitted and what is configured.
"""

from environments.drill.attempt import CLASSES, Attempt, Class
from environments.drill.battery import run_battery
from environments.drill.catalogue import ATTEMPTS
from environments.drill.ground import small
from environments.drill.open_machine import OpenMachine
from environments.drill.report import Report, Tally, Tried

__all__ = [
    "ATTEMPTS",
    "CLASSES",
    "Attempt",
    "Class",
    "OpenMachine",
    "Report",
    "Tally",
    "Tried",
    "run_battery",
    "small",
]
