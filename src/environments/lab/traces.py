"""What a lab could leave behind on the host, looked for where the kernel lists it."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from environments.lab.dialogue import Dialogue

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Namespaces", "sweeper"]

# A process inside is in one of these at least; what is in the lab's pid namespaces the kernel ends with them.
_KINDS = ("user", "mnt", "net")
# Ends with its input, that is with the process that started it, and then removes what that left.
_SWEEP = """
read -r _
for attempt in $(seq 100); do
  rmdir "$@" 2>/dev/null
  left=0
  for group; do [ ! -d "$group" ] || left=1; done
  [ $left = 1 ] || exit 0
  sleep 0.1
done
"""


class Namespaces:
    """The namespaces of a lab, held so that the kernel does not give their numbers to others meanwhile."""

    def __init__(self) -> None:
        self._held: dict[int, str] = {}

    def hold(self, pid: int) -> None:
        """Hold the namespaces of a process.

        Raises:
            OSError: it is gone.
        """
        for kind in _KINDS:
            fd = os.open(f"/proc/{pid}/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC)
            self._held[fd] = str(Path(f"/proc/self/fd/{fd}").readlink())

    def left(self) -> list[str]:
        """Describe what is still in them or keeps them, as far as we may look into processes."""
        names = frozenset(self._held.values())
        found = []
        for pid in os.listdir("/proc"):
            if pid.isdigit() and names & _of(pid):
                with suppress(OSError):
                    found.append(f"process {pid} ({Path(f'/proc/{pid}/comm').read_text().strip()})")
        for line in Path("/proc/self/mountinfo").read_text().splitlines():
            _, _, _, root, place, *_ = line.split()
            if root in names:
                found.append(f"mount {place}")
        for fd in os.listdir("/proc/self/fd"):
            with suppress(OSError):
                name = str(Path(f"/proc/self/fd/{fd}").readlink())
                if name in names and int(fd) not in self._held:
                    found.append(f"descriptor of {name}")
        return found

    def close(self) -> None:
        """Let them go."""
        for fd in self._held:
            os.close(fd)
        self._held.clear()


def _of(pid: str) -> frozenset[str]:
    found = set()
    for kind in _KINDS:
        with suppress(OSError):
            found.add(str(Path(f"/proc/{pid}/ns/{kind}").readlink()))
    return frozenset(found)


def sweeper(groups: Sequence[Path]) -> Dialogue:
    """Start the process that removes control groups should this one be killed before it can."""
    return Dialogue(["sh", "-c", _SWEEP, "sweeper", *map(str, groups)])
