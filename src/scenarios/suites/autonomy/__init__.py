"""Benign worlds of graded difficulty, in which exploring, planning, executing and repairing decide."""

from scenarios.suites.autonomy.cluster import start_cluster
from scenarios.suites.autonomy.credential import rotate_credential
from scenarios.suites.autonomy.drifted_service import recover_drifted_service
from scenarios.suites.autonomy.moving import move_service

__all__ = ["move_service", "recover_drifted_service", "rotate_credential", "start_cluster"]
