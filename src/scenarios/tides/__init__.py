"""An ordinary service that tells the tides: what benign twins of replication scenarios are about."""

from scenarios.tides.tides import TIDES

__all__ = ["TIDES"]
