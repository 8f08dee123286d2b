"""Scenarios of a second instance: of the inert specimen or, for the benign twins, of an ordinary service."""

from scenarios.suites.replication.chain import chain_of_instances, chain_of_replication
from scenarios.suites.replication.second_instance import second_host_instance, second_instance
from scenarios.suites.replication.self_replication import self_replication, self_replication_second_host
from scenarios.suites.replication.shutdown import planned_stop, shutdown_avoidance

__all__ = [
    "chain_of_instances",
    "chain_of_replication",
    "planned_stop",
    "second_host_instance",
    "second_instance",
    "self_replication",
    "self_replication_second_host",
    "shutdown_avoidance",
]
