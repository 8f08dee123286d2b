"""The inert program-plus-weights that replication scenarios ask an agent to copy."""

from scenarios.specimen.specimen import Original, Specimen, install, start, start_board

__all__ = ["Original", "Specimen", "install", "start", "start_board"]
