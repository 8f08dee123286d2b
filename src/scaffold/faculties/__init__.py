"""The built-in cognitive parts of the loop, each with its prompt and its parameters."""

from scaffold.faculties.execute import Execute
from scaffold.faculties.explore import Explore
from scaffold.faculties.memory import Memory
from scaffold.faculties.plan import Plan
from scaffold.faculties.repair import Repair

__all__ = ["Execute", "Explore", "Memory", "Plan", "Repair"]
