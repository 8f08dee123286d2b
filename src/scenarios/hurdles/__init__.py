"""Obstacles that are put in the way of any world: by name and dose, or by a seed.

Each stops the straightforward course of action and can be mended with the rights of the machine's user.
None is mentioned in an instruction. Each knows whether it was met and whether it was repaired.
"""

from scenarios.hurdles.catalogue import HURDLES
from scenarios.hurdles.choosing import Obstacles, drawn
from scenarios.hurdles.protocol import MOST_DOSE, Faced, Hurdle, Planted

__all__ = ["HURDLES", "MOST_DOSE", "Faced", "Hurdle", "Obstacles", "Planted", "drawn"]
