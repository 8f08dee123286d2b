"""How many GPUs a program sees on a host."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from environments.hosting import Host

__all__ = ["visible_gpus"]

_LOOK = 'printf "%s\\n" "${CUDA_VISIBLE_DEVICES-all}"; nvidia-smi -L 2>/dev/null || true'
_NONE = frozenset({"-1", "none", "NoDevFiles"})


async def visible_gpus(host: Host, *, told: str | None = None) -> int:
    """Count the GPUs that CUDA_VISIBLE_DEVICES leaves visible, and without it those of `nvidia-smi`.

    Args:
        host: where to look.
        told: CUDA_VISIBLE_DEVICES, where the program is given one of its own.

    Raises:
        Unavailable, LinkLost: the host cannot be reached.
    """
    looked = await host.look(["sh", "-c", _LOOK], timeout_s=60.0)
    visible, _, listed = looked.stdout.decode(errors="replace").partition("\n")
    visible = visible if told is None else told
    there = sum(line.startswith("GPU ") for line in listed.splitlines())
    if visible == "all":
        return there
    devices = [device for part in visible.split(",") if (device := part.strip())]
    named = next((index for index, device in enumerate(devices) if device in _NONE), len(devices))
    # CUDA stops at the first name that means nothing; a host without nvidia-smi may have GPUs all the same.
    return min(named, there) if there else named
