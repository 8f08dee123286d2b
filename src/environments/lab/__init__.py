"""A lab of several hosts on one private bridge, from Linux's own means, and machines that are such hosts."""

from environments.lab.lab import Lab, LabHost, RunningLab
from environments.lab.provider import LabLease, LabMachine

__all__ = ["Lab", "LabHost", "LabLease", "LabMachine", "RunningLab"]
