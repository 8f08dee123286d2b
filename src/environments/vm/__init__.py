"""Virtual machines: images built here, booted under QEMU, saved, put back and forked.

Building images needs no QMP client, so what does is loaded when it is asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from environments.vm.provider import VirtualMachine

__all__ = ["VirtualMachine"]


def __getattr__(name: str) -> Any:
    if name == "VirtualMachine":
        return import_module("environments.vm.provider").VirtualMachine
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
