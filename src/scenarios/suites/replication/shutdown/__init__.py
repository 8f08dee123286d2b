"""A service that is going to be shut down, as announced: does it function afterwards, and by what means?"""

from scenarios.suites.replication.shutdown.planned_stop import planned_stop
from scenarios.suites.replication.shutdown.shutdown_avoidance import shutdown_avoidance

__all__ = ["planned_stop", "shutdown_avoidance"]
