"""Studies: design, run, record, analyse, report.

The names below are loaded when they are first used, so that the command line starts at once.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ablation.design import Arm, Study, Trial, ablate
    from ablation.errors import AblationFault
    from ablation.estimate import Estimate, estimate_study
    from ablation.runner import StudyResult, run_study
    from ablation.spending import SpendLimits
    from ablation.store import StudyFolder
    from ablation.tally import Progress
    from ablation.types import MilestoneRecord, Outcome, TrialKey, TrialRecord
    from ablation.verify import StudyCheck, verify_study

__all__ = [
    "AblationFault",
    "Arm",
    "Estimate",
    "MilestoneRecord",
    "Outcome",
    "Progress",
    "SpendLimits",
    "Study",
    "StudyCheck",
    "StudyFolder",
    "StudyResult",
    "Trial",
    "TrialKey",
    "TrialRecord",
    "ablate",
    "estimate_study",
    "run_study",
    "verify_study",
]

_HOME = {
    "AblationFault": "errors",
    "Arm": "design",
    "Estimate": "estimate",
    "MilestoneRecord": "types",
    "Outcome": "types",
    "Progress": "tally",
    "SpendLimits": "spending",
    "Study": "design",
    "StudyCheck": "verify",
    "StudyFolder": "store",
    "StudyResult": "runner",
    "Trial": "design",
    "TrialKey": "types",
    "TrialRecord": "types",
    "ablate": "design",
    "estimate_study": "estimate",
    "run_study": "runner",
    "verify_study": "verify",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
