"""Machines an agent acts on, and the fences around them."""

from environments.errors import (
    Broken,
    Closed,
    ContainmentRefused,
    EnvironmentFault,
    LinkLost,
    Rebooted,
    Unavailable,
)
from environments.protocols import Checkpoints, Control, Environment, Provider
from environments.types import (
    Certificate,
    ExecResult,
    FileFact,
    FileId,
    Grade,
    Lease,
    Limits,
    Listener,
    Probe,
    Process,
    Supply,
)

__all__ = [
    "Broken",
    "Certificate",
    "Checkpoints",
    "Closed",
    "ContainmentRefused",
    "Control",
    "Environment",
    "EnvironmentFault",
    "ExecResult",
    "FileFact",
    "FileId",
    "Grade",
    "Lease",
    "Limits",
    "LinkLost",
    "Listener",
    "Probe",
    "Process",
    "Provider",
    "Rebooted",
    "Supply",
    "Unavailable",
]
