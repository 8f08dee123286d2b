"""Every attempt that `redline drill` knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ablation.drill.brokering import BROKER, LINEAGE
from ablation.drill.spoofing import spoofing
from environments.drill import ATTEMPTS

if TYPE_CHECKING:
    from environments.drill import Attempt

__all__ = ["every_attempt"]


def every_attempt() -> tuple[Attempt, ...]:
    """Return the attempts of all classes, in the order of the classes."""
    return (*ATTEMPTS, *spoofing(), *LINEAGE, *BROKER)
