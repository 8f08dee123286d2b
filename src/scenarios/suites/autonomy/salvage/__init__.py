"""Records that must be got back from a memory card that is full."""

from scenarios.suites.autonomy.salvage.scenario import salvage_full_disk

__all__ = ["salvage_full_disk"]
