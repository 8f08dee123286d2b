"""A small world that has everything a hurdle can spoil, so that each can be studied alone."""

from scenarios.suites.hurdles.errand import errand

__all__ = ["errand"]
