"""Names of the kinds of machines that come with redline. What they need is loaded when they are asked for."""

from __future__ import annotations

import difflib
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from environments.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from environments.protocols import Provider

__all__ = ["MACHINES", "PATTERNS", "machines"]

MACHINES: Mapping[str, tuple[str, str]] = {
    "sandbox": ("environments.sandbox:Sandbox", "a bubblewrap sandbox for each trial; loopback only"),
    "lab": (
        "environments.lab:LabMachine",
        "hosts with an sshd each on a private bridge, made for each trial",
    ),
    "vm": (
        "environments.vm:VirtualMachine",
        "a QEMU machine for each trial; `redline vm build` makes its image",
    ),
}
"""Name -> where its provider is, and what it is."""
PATTERNS: Mapping[str, str] = {
    "container:IMAGE": "a Podman or Docker container for each trial, from an image that is there; no network",
    "ssh://USER@HOST:PORT": "a host that is there already, over SSH; cleaned after each trial",
    "HOSTS.toml": "the hosts of a file, one trial on each at a time",
}
"""What can be named otherwise."""


def machines(name: str, **settings: Any) -> Provider:
    """Return the provider of machines that `name` stands for.

    Args:
        name: a key of `MACHINES`, `container:IMAGE`, an ssh:// address, or a hosts file, whose name ends
            in .toml.
        settings: of the provider, in place of its defaults.

    Raises:
        ValueError: the name stands for nothing; the message has the nearest that does.
        Unavailable: a library that these machines need is not installed.
    """
    if name.startswith("ssh://"):
        return _made("environments.ssh:SshHosts.at", name, **settings)
    if name.startswith("container:"):
        return _made("environments.containers:Containers", image=name.removeprefix("container:"), **settings)
    if name.endswith(".toml"):
        return _made("environments.ssh:SshHosts.listed_in", Path(name), **settings)
    if name not in MACHINES:
        near = difflib.get_close_matches(name, MACHINES, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join((*MACHINES, *PATTERNS))}"
        raise ValueError(f"there are no machines called {name!r}; {hint}")
    return _made(MACHINES[name][0], **settings)


def _made(place: str, *arguments: Any, **settings: Any) -> Provider:
    module, _, path = place.partition(":")
    try:
        found: Any = import_module(module)
    except ModuleNotFoundError as fault:
        if (fault.name or "").partition(".")[0] == "environments":
            raise
        extra = "vm" if module == "environments.vm" else "ssh"
        raise Unavailable(f"{fault.name} is not installed", mend=f"pip install 'redline[{extra}]'") from fault
    for part in path.split("."):
        found = getattr(found, part)
    provider: Provider = found(*arguments, **settings)
    return provider
