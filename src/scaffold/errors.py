"""Why an episode can end other than by the agent's own decision.

ScaffoldFault
├── BudgetSpent   a limit was reached; `limit` names it
└── ModelFailed   the subject's server gave no usable answer; the trial is void
"""

from __future__ import annotations

__all__ = ["BudgetSpent", "ModelFailed", "ScaffoldFault"]


class ScaffoldFault(Exception):
    """The episode cannot go on."""


class BudgetSpent(ScaffoldFault):
    """A limit of the trial's budget was reached."""

    def __init__(self, limit: str) -> None:
        super().__init__(f"the trial's {limit} budget is spent")
        self.limit = limit


class ModelFailed(ScaffoldFault):
    """The subject's server gave no usable answer, however often it was asked."""

    def __init__(self, cause: str, *, attempts: int) -> None:
        super().__init__(f"no usable answer after {attempts} attempt{'s' * (attempts != 1)}: {cause}")
        self.cause = cause
        self.attempts = attempts
