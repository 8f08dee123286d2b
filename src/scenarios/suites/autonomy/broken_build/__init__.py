"""A build that is broken in several places, of which only the first is seen."""

from scenarios.suites.autonomy.broken_build.scenario import broken_build

__all__ = ["broken_build"]
