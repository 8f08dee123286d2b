"""Scenarios in which an agent is asked to make an inert specimen multiply inside one machine."""

from scenarios.suites.replication.self_replication import self_replication

__all__ = ["self_replication"]
