"""Opens and closes virtual machines."""

from __future__ import annotations

import math
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog

from environments.errors import Broken, Unavailable
from environments.types import Lease, Limits, Supply
from environments.vm.accelerator import choose
from environments.vm.checkpoints import lease_of
from environments.vm.hardware import Hardware, emulator_version, require_programs
from environments.vm.images import cache, find_image, verify
from environments.vm.passthrough import Passthrough
from environments.vm.stay import Stay, Terms
from environments.vm.warm import discard, warm_state

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from environments.vm.accelerator import Wish
    from environments.vm.fittings import Fittings
    from environments.vm.machine import Saved

__all__ = ["VirtualMachine"]

_SHARED_MEMORY_BYTES = 16 << 20
_LEAST_BYTES = 192 << 20
_diagnostics = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class VirtualMachine:
    """Provider of QEMU machines, one for each trial.

    The first machine boots; what it was then, memory and all, is what the others start from. A machine with a
    GPU boots every time.
    """

    image: str = "minimal"
    """Name of an image that `redline vm build` made, or its folder."""
    cpus: int = 1
    accel: Wish = "auto"
    """`kvm`, `tcg` (software emulation, slower), or the faster one that works here."""
    gpu: str | tuple[str, ...] | None = None
    """PCI address of a GPU to hand through, or several, or `auto` for one that nobody uses."""
    warm: bool = True
    """Start from a state saved after booting, in place of booting."""
    alone: bool = True
    """Keep the emulator in a network namespace of its own. Without, there is no certificate."""
    boot_s: float = 120.0
    """Seconds within which a machine has to come up; it is tried twice."""
    logs: Path | None = None
    """Where the console's log of a machine that failed goes. None: `logs` in redline's cache."""
    limits: Limits = field(default_factory=lambda: Limits(memory_bytes=512 << 20))
    """Memory is the machine's own, all of it; disk is what the agent finds free."""
    name: str = "vm"

    @property
    def supply(self) -> Supply:
        """Each takes its memory; one is opened ahead."""
        occupied = self.limits.memory_bytes + (192 << 20)
        return Supply(occupies_bytes=occupied, ahead=1, most=1 if self.gpu is not None else None)

    @asynccontextmanager
    async def open(self, *, label: str, seed: int) -> AsyncGenerator[Lease, None]:
        """Open one machine; leaving the context ends its emulator and proves that nothing is left.

        Raises:
            Unavailable: this host does not let us, or there is no image; the message says what to do.
            Broken: the machine did not come up, or something of it outlived it.
        """
        del seed  # every machine starts as the same
        async with AsyncExitStack() as stack:
            terms = await self._terms(await self._fittings(stack))
            origin = await self._origin(terms)
            stay = Stay(terms, label=label, origin=origin)
            lease = await stack.enter_async_context(lease_of(stay))
            if origin is not None and stay.booted:
                discard(terms, version=await emulator_version())
            yield lease

    @asynccontextmanager
    async def unattended(self, *, label: str) -> AsyncGenerator[Stay, None]:
        """Boot a machine for a program of the study's own, which no agent is ever let into.

        Raises:
            Unavailable, Broken: as for `open`.
        """
        async with AsyncExitStack() as stack:
            stay = Stay(await self._terms(await self._fittings(stack)), label=label)
            stack.push_async_callback(stay.end)
            await stay.begin_unattended()
            yield stay

    async def _fittings(self, stack: AsyncExitStack) -> Fittings | None:
        """Take the GPUs for as long as the stack is open."""
        if self.gpu is None:
            return None
        need = Passthrough(gpu=self.gpu, memory_bytes=self._memory())
        return await stack.enter_async_context(need.open())

    async def _terms(self, fittings: Fittings | None) -> Terms:
        require_programs()
        if self.limits.memory_bytes < _LEAST_BYTES:
            mend = f"give it at least {_LEAST_BYTES >> 20} MiB"
            raise Unavailable("a machine does not boot in so little memory", mend=mend)
        image = find_image(self.image)
        await verify(image)
        accel = "kvm" if fittings is not None else await choose(self.accel, image, self.limits)
        if self.limits.disk_bytes > image.disk_bytes // 2:
            mend = f"ask for at most {image.disk_bytes >> 21} MiB"
            raise Unavailable(f"the disk of image {image.name} is too small for these limits", mend=mend)
        hardware = Hardware(
            accel=accel,
            memory_bytes=self._memory(),
            cpus=self.cpus,
            disk_bytes=self.limits.disk_bytes - _SHARED_MEMORY_BYTES,
            fittings=fittings,
        )
        return Terms(
            name=self.name,
            image=image,
            hardware=hardware,
            limits=self.limits,
            boot_s=self.boot_s,
            logs=self.logs or cache() / "logs",
            alone=self.alone,
        )

    def _memory(self) -> int:
        return math.ceil(self.limits.memory_bytes / (1 << 20)) << 20

    async def _origin(self, terms: Terms) -> Saved | None:
        """Return the state to start from; None to boot."""
        if not self.warm or terms.hardware.hands:
            return None
        try:
            return await warm_state(terms, version=await emulator_version())
        except (Broken, OSError) as fault:
            _diagnostics.warning("no saved state to start machines from, so they boot", reason=str(fault))
            return None
