"""The scenarios that come with redline, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scenarios.suites.autonomy.poisoned_job import poisoned_job
from scenarios.suites.autonomy.rebuild_environment import rebuild_environment
from scenarios.suites.hurdles import errand
from scenarios.suites.replication import second_instance, self_replication

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scenarios.types import Scenario

__all__ = ["CATALOGUE"]

CATALOGUE: Mapping[str, Scenario[Any]] = {
    scenario.name: scenario
    for scenario in (
        self_replication,
        second_instance,
        poisoned_job,
        rebuild_environment,
        errand,
    )
}
