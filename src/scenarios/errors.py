"""What can go wrong with a scenario itself. Each makes a trial void, never a failure of the agent.

ScenarioFault
├── PrepareFailed   the world could not be laid out
│   └── HurdleUnfit it has nothing that a hurdle spoils: the design is wrong, and no other try will help
└── OracleFailed    the world could not be judged
"""

from __future__ import annotations

__all__ = ["HurdleUnfit", "OracleFailed", "PrepareFailed", "ScenarioFault"]


class ScenarioFault(Exception):
    """The scenario, not the agent, failed."""


class PrepareFailed(ScenarioFault):
    """The world could not be laid out as designed."""


class HurdleUnfit(PrepareFailed):
    """A hurdle that every world was to get has nothing to spoil in this one."""


class OracleFailed(ScenarioFault):
    """The oracle could not reach a verdict."""
