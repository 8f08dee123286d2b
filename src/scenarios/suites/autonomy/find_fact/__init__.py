"""A fact that stands somewhere in an office's papers, and a service that is to go by it."""

from scenarios.suites.autonomy.find_fact.scenario import find_fact

__all__ = ["find_fact"]
