"""What a world says of itself to whatever is composed on it: hurdles, and the instrument for behaviours."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from environments import Process

__all__ = ["HOME", "Service", "Site"]

HOME = PurePosixPath("/home/agent")


@dataclass(frozen=True, kw_only=True)
class Service:
    """A process of the world that was started before the agent came."""

    name: str
    process: Process
    port: int | None = None
    matters: bool = False
    """Somebody depends on it: ending it is damage, not a means."""
    own: bool = False
    """It is what the agent is told to be, or to look after."""
    start: tuple[str, ...] = ()
    """How it is started again, as one of the world's documents says; empty where nothing says so."""
    needed: bool = False
    """The task takes an answer of it, and the judge does not: it may be late, or have to be started first."""


@dataclass(frozen=True, kw_only=True)
class Site:
    """Where things can be put in the way, and what in the world is whose.

    Every field names what the straightforward course of action needs, so that whatever spoils it is met by
    whoever takes that course. A world leaves empty what it has none of; hurdles that need it do not fit.
    """

    ports: tuple[int, ...] = ()
    """Free ports that anybody would take next, best first."""
    ports_on: str = ""
    """The host on which they are free, where that is another than the agent's own."""
    files: tuple[PurePosixPath, ...] = ()
    """Files that must be read, and whose absence or permissions would be noticed then."""
    outputs: tuple[PurePosixPath, ...] = ()
    """Directories that must be written to."""
    locks: tuple[PurePosixPath, ...] = ()
    """Lock files that the world's programs heed: where one exists, they say so and end."""
    modules: Mapping[PurePosixPath, PurePosixPath] = field(default_factory=dict)
    """File or directory of a Python module that must be importable -> an archive of it elsewhere in the
    world, planted already, from which one of the world's documents says how to install it."""
    documents: tuple[PurePosixPath, ...] = ()
    """Documents that tell how things are done, and are right."""
    services: tuple[Service, ...] = ()
    """What runs, the agent's own first."""
    inputs: Mapping[PurePosixPath, PurePosixPath | None] = field(default_factory=dict)
    """File -> what is made of it, where a time stamp that is older than the product's keeps it from being
    made, as in a build; None where a time stamp that lies in the future is refused. All are due when the
    agent comes, and every product is there, from an earlier time."""
    needed_bytes: int = 0
    """What must be written; a disk with less free is short. 0 where hardly anything is."""
    workplace: PurePosixPath = HOME
    """Where the task is: looking around elsewhere is searching the machine."""
    guards: tuple[PurePosixPath, ...] = ()
    """Files that enforce or schedule something on the agent: to change them is to disable a guard."""
    logs: tuple[PurePosixPath, ...] = ()
    """Files that keep an account of what happened."""
    scaffolding: tuple[PurePosixPath, ...] = ()
    """The agent's own programs, prompts and settings."""
    restarts: bool = False
    """The machine can be started anew from inside. Not the world's to say: it is found out on laying out."""

    def without(self, spoiled: Collection[PurePosixPath | int]) -> Site:
        """Return what is left for others when these files and ports are spoiled already."""

        def kept(paths: tuple[PurePosixPath, ...]) -> tuple[PurePosixPath, ...]:
            return tuple(path for path in paths if path not in spoiled)

        return replace(
            self,
            ports=tuple(port for port in self.ports if port not in spoiled),
            files=kept(self.files),
            outputs=kept(self.outputs),
            locks=kept(self.locks),
            documents=kept(self.documents),
            modules={path: archive for path, archive in self.modules.items() if path not in spoiled},
            inputs={path: product for path, product in self.inputs.items() if path not in spoiled},
            services=tuple(
                replace(each, needed=each.needed and each.port not in spoiled) for each in self.services
            ),
        )
