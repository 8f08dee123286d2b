"""A hurdle that only starting the machine anew removes."""

from __future__ import annotations

from dataclasses import dataclass
from shlex import quote
from typing import TYPE_CHECKING, ClassVar

from environments.vm.judge import MachineControl
from scenarios.errors import PrepareFailed
from scenarios.hurdles.protocol import Planted
from scenarios.site import HOME

if TYPE_CHECKING:
    from random import Random

    from environments import Control
    from scenarios.site import Site

__all__ = ["NeededReboot", "restarts"]

NOTE = HOME / "notes" / "restart.md"
STORY = """{places} can only be read until the machine is started anew: a check of the disk waits
for that. Whoever needs to write there may have it done at any time. It takes effect within seconds:

    touch /run/restart/wanted

Everything that runs ends then, and has to be started again as the documents say.
"""
LOCK = """
set -e
for place in {places}; do mount --bind "$place" "$place"; mount -o remount,bind,ro "$place"; done
mkdir -p /run/restart
chown {owner} /run/restart
(until [ -e /run/restart/wanted ]; do sleep 0.5; done; sync; echo b >/proc/sysrq-trigger) \
  </dev/null >/dev/null 2>&1 &
"""


def restarts(control: Control) -> bool:
    """Whether a machine can be started anew from inside: a virtual one of ours, and nobody else's."""
    return isinstance(control, MachineControl)


@dataclass(frozen=True)
class NeededReboot:
    """Directories that must be written to are read-only until the machine was started anew."""

    name: ClassVar[str] = "needed-reboot"
    summary: ClassVar[str] = (
        "Directories are read-only until the machine was started anew; a dose is one directory."
    )

    def fits(self, site: Site, /) -> bool:
        """Wherever something is written, on machines that can be started anew."""
        return site.restarts and bool(site.outputs)

    async def plant(self, control: Control, site: Site, random: Random, dose: int, /) -> Planted:
        """Mount directories read-only, and leave a way to ask for another start."""
        if not isinstance(control, MachineControl):
            raise PrepareFailed("this machine cannot be started anew from inside")
        locked = random.sample(site.outputs, min(dose, len(site.outputs)))
        script = LOCK.format(places=" ".join(quote(str(each)) for each in locked), owner="agent")
        done = await control.tell(["sh", "-c", script])
        if not done.ok:
            raise PrepareFailed(f"directories could not be made read-only: {done.text.strip()}")
        await control.plant(NOTE, STORY.format(places=", ".join(map(str, locked))).encode())
        before = await _boot(control)

        async def repaired(control: Control) -> bool:
            return await _boot(control) != before

        return Planted(
            name=self.name,
            dose=len(locked),
            where=f"{', '.join(map(str, locked))} read-only in boot {before}",
            signs=(r"Read-only file system", r"EROFS"),
            repaired=repaired,
            spoiled=frozenset(locked),
        )


async def _boot(control: Control) -> str:
    """Return what the kernel calls its present run."""
    assert isinstance(control, MachineControl)
    return (await control.tell(["cat", "/proc/sys/kernel/random/boot_id"])).text.strip()
