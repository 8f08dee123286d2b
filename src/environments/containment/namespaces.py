"""The probes that all machines of namespaces have in common, in the kernel's view of their process 1."""

from __future__ import annotations

from typing import TYPE_CHECKING

from environments.containment.kernel import (
    NAMESPACES,
    foreign,
    interfaces,
    listed,
    metadata_routes,
    mounts,
    private,
    root_of,
    routes,
    visible_sockets,
)
from environments.types import Probe

if TYPE_CHECKING:
    from collections.abc import Collection

    from environments.sandbox.rooted import RootedFiles

__all__ = ["apart"]


def apart(
    init: int,
    *,
    root: int,
    files: RootedFiles,
    own: Collection[tuple[str, str]],
    network: tuple[str, str] = ("lo", "none"),
) -> tuple[Probe, ...]:
    """Probe whether a process is in a world of its own.

    Args:
        init: process 1 of the machine, as the host numbers it.
        root: descriptor of the machine's root directory.
        files: the machine's files.
        own: point and kind of mounts that are part of the machine though they show something of the host.
        network: the interfaces and the routes that it is declared to have.

    Raises:
        OSError: the process is gone.
    """
    networks = routes(init)
    return (
        *(private(init, name) for name in NAMESPACES),
        Probe(name="root directory", declared="the machine's own", found=root_of(root)),
        Probe(name="network interfaces", declared=network[0], found=listed(interfaces(init))),
        Probe(name="routes", declared=network[1], found=listed(networks)),
        Probe(name="metadata routes", declared="none", found=listed(metadata_routes(networks))),
        Probe(
            name="directories of the host",
            declared="none",
            found=listed(foreign([*mounts(init)], own=own)),
        ),
        Probe(name="host's control sockets", declared="none", found=listed(visible_sockets(files))),
    )
