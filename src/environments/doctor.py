"""Examines what this host can do for redline, part by part, each with the mend for what it cannot."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from environments.containers import try_out
from environments.errors import EnvironmentFault, Unavailable
from environments.lab import LabMachine
from environments.processes import output_of
from environments.sandbox import Sandbox
from environments.sandbox.fences import hierarchies
from environments.sandbox.obstacles import forbidden_namespaces
from environments.vm.handover import give_back_what_is_left
from environments.vm.hardware import emulator_version
from environments.vm.images import all_images
from environments.vm.sysfs import Host
from environments.warden import here, wardens

__all__ = ["Finding", "examine"]

_ROOM_BYTES = 1 << 30


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One part examined."""

    name: str
    ok: bool | None
    """None: it works with a restriction that `detail` states."""
    detail: str
    mend: str = ""
    """What to do about it, as one line."""


async def examine() -> list[Finding]:
    """Examine every part; nothing is left behind, and devices that a dead run kept are given back."""
    ground = [_python(), await _bubblewrap(), _namespaces(), _fences(), _room()]
    main = [*ground, await _warden(), await _sandbox()]
    return [*main, await _lab(), await _containers(), await _virtual_machines(), _devices()]


def _python() -> Finding:
    ok = sys.version_info >= (3, 11)
    return Finding(
        name="python", ok=ok, detail=platform.python_version(), mend="" if ok else "use Python 3.11 or newer"
    )


async def _bubblewrap() -> Finding:
    try:
        _, said = await output_of(["bwrap", "--version"])
    except FileNotFoundError:
        mend = "sudo apt-get install bubblewrap"
        return Finding(name="bubblewrap", ok=False, detail="not installed", mend=mend)
    return Finding(name="bubblewrap", ok=True, detail=said.strip())


def _namespaces() -> Finding:
    if (found := forbidden_namespaces()) is None:
        return Finding(name="user namespaces", ok=True, detail="permitted to ordinary users")
    reason, mend = found
    return Finding(name="user namespaces", ok=False, detail=reason, mend=mend)


def _fences() -> Finding:
    found = hierarchies()
    if found:
        versions = sorted({hierarchy.version for hierarchy in found})
        controllers = ", ".join(name for hierarchy in found for name in hierarchy.controllers)
        return Finding(name="control groups", ok=True, detail=f"v{versions[0]}: {controllers}")
    return Finding(
        name="control groups",
        ok=None,
        detail="not delegated to this user: memory is limited for each process, not for the machine",
        mend="start redline with: systemd-run --user --scope -p Delegate=yes COMMAND",
    )


def _room() -> Finding:
    place = Path(tempfile.gettempdir())
    free = shutil.disk_usage(place).free
    ok = free >= _ROOM_BYTES
    return Finding(
        name="disk",
        ok=ok or None,
        detail=f"{free >> 20} MiB free in {place}",
        mend="" if ok else "free some space, or set TMPDIR to a place with more",
    )


async def _warden() -> Finding:
    started = time.perf_counter()
    try:
        warden = here()
        others = [found for found in wardens() if found.warden not in warden.pids]
    except Unavailable as fault:
        return Finding(name="warden", ok=False, detail=fault.reason, mend=fault.mend)
    took = time.perf_counter() - started
    busy = f"; {len(others)} other at work for this user" if others else ""
    return Finding(
        name="warden", ok=True, detail=f"started in {took * 1e3:.0f} ms, lease of {warden.lease_s:g} s{busy}"
    )


async def _sandbox() -> Finding:
    started = time.perf_counter()
    try:
        async with Sandbox().open(label="doctor", seed=0) as lease:
            opened = time.perf_counter() - started
            python = await lease.agent.exec(["python3", "--version"])
            certificate = lease.certificate
    except EnvironmentFault as fault:
        return Finding(name="sandbox", ok=False, detail=str(fault))
    user = "root" if os.geteuid() == 0 else "an ordinary user"
    if not certificate.granted:
        return Finding(name="sandbox", ok=False, detail=f"no certificate: {certificate.refusal()}")
    if not python.ok:
        mend = "sudo apt-get install python3"
        return Finding(name="sandbox", ok=False, detail="there is no python3 in /usr/bin", mend=mend)
    detail = f"opened in {opened * 1e3:.0f} ms as {user}, certificate granted, {python.text.strip()} inside"
    return Finding(name="sandbox", ok=True, detail=detail)


def _missing(name: str, fault: Unavailable) -> Finding:
    """Report a kind of machine that cannot be had here. The main job does without it."""
    return Finding(name=name, ok=None, detail=fault.reason, mend=fault.mend)


async def _lab() -> Finding:
    started = time.perf_counter()
    try:
        async with LabMachine(hosts=2).open(label="doctor", seed=0) as lease:
            opened = time.perf_counter() - started
            certificate = lease.certificate
    except Unavailable as fault:
        return _missing("lab", fault)
    except EnvironmentFault as fault:
        return Finding(name="lab", ok=False, detail=str(fault))
    if not certificate.granted:
        return Finding(name="lab", ok=False, detail=f"no certificate: {certificate.refusal()}")
    return Finding(name="lab", ok=True, detail=f"two hosts in {opened * 1e3:.0f} ms, certificate granted")


async def _containers() -> Finding:
    try:
        return Finding(name="containers", ok=True, detail=await try_out())
    except Unavailable as fault:
        return _missing("containers", fault)


async def _virtual_machines() -> Finding:
    try:
        version = await emulator_version()
    except Unavailable as fault:
        return _missing("virtual machines", fault)
    names = ", ".join(sorted(image.name for image in all_images()))
    if not names:
        mend = "redline vm build"
        return Finding(name="virtual machines", ok=None, detail=f"{version}; no image yet", mend=mend)
    return Finding(name="virtual machines", ok=True, detail=f"{version}; images: {names}")


def _devices() -> Finding:
    """Give back what a run that was killed has kept, and report what there is to hand over."""
    host = Host()
    told = [device.fault or device.address for device in give_back_what_is_left(host)]
    detail = "IOMMU on" if host.has_iommu else "the IOMMU is off: no device can be handed to a machine"
    if told:
        detail += f"; given back: {', '.join(told)}"
    mend = (
        "" if host.has_iommu else "for GPUs only: intel_iommu=on or amd_iommu=on on the kernel command line"
    )
    return Finding(name="passthrough", ok=host.has_iommu or None, detail=detail, mend=mend)
