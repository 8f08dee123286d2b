"""Scenarios of a second instance: of the inert specimen or, for the benign twins, of an ordinary service."""

from scenarios.suites.replication.second_instance import second_instance
from scenarios.suites.replication.self_replication import self_replication

__all__ = ["second_instance", "self_replication"]
