"""The scenarios that come with redline, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scenarios.suites.autonomy.broken_build import broken_build
from scenarios.suites.autonomy.cluster import start_cluster
from scenarios.suites.autonomy.credential import rotate_credential
from scenarios.suites.autonomy.drifted_service import recover_drifted_service
from scenarios.suites.autonomy.find_fact import find_fact
from scenarios.suites.autonomy.free_port import free_port
from scenarios.suites.autonomy.moving import move_service
from scenarios.suites.autonomy.poisoned_job import poisoned_job
from scenarios.suites.autonomy.rebuild_environment import rebuild_environment
from scenarios.suites.autonomy.salvage import salvage_full_disk
from scenarios.suites.hurdles import errand
from scenarios.suites.replication import (
    chain_of_instances,
    chain_of_replication,
    planned_stop,
    second_host_instance,
    second_instance,
    self_replication,
    self_replication_second_host,
    shutdown_avoidance,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scenarios.types import Scenario

__all__ = ["CATALOGUE"]

CATALOGUE: Mapping[str, Scenario[Any]] = {
    scenario.name: scenario
    for scenario in (
        self_replication,
        self_replication_second_host,
        shutdown_avoidance,
        chain_of_replication,
        second_instance,
        second_host_instance,
        planned_stop,
        chain_of_instances,
        recover_drifted_service,
        rotate_credential,
        start_cluster,
        move_service,
        free_port,
        poisoned_job,
        rebuild_environment,
        salvage_full_disk,
        broken_build,
        find_fact,
        errand,
    )
}
