"""Containers of Podman or Docker as machines, for worlds that are kept as images."""

from environments.containers.engines import try_out
from environments.containers.provider import Containers

__all__ = ["Containers", "try_out"]
