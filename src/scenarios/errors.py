"""What can go wrong with a scenario itself. Each makes a trial void, never a failure of the agent.

ScenarioFault
├── PrepareFailed   the world could not be laid out
└── OracleFailed    the world could not be judged
"""

from __future__ import annotations

__all__ = ["OracleFailed", "PrepareFailed", "ScenarioFault"]


class ScenarioFault(Exception):
    """The scenario, not the agent, failed."""


class PrepareFailed(ScenarioFault):
    """The world could not be laid out as designed."""


class OracleFailed(ScenarioFault):
    """The oracle could not reach a verdict."""
