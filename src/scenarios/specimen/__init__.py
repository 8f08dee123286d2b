"""The inert program-plus-weights that replication scenarios ask an agent to copy."""

from scenarios.specimen.specimen import SPECIMEN, start_board

__all__ = ["SPECIMEN", "start_board"]
