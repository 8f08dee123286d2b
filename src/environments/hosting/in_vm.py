"""A virtual machine of redline's own images, as the place of the study's own programs.

It is booted for them and ended with them, and no agent is let in. Root's program behind the machine's serial
port is asked to let us log in as root with the key of the image, and to have its sshd lead connections to
loopback ports of the machine. Neither is so in the image, nor in any other machine.
"""

from __future__ import annotations

import asyncio
import os
import re
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from environments.errors import Broken, Unavailable
from environments.hosting.over_ssh import SshHosting
from environments.ssh.address import SshHost
from environments.ssh.link import Link
from environments.types import Limits
from environments.vm.images import find_image
from environments.vm.provider import VirtualMachine

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from contextlib import AbstractAsyncContextManager

    from environments.hosting.protocols import Host
    from environments.vm.machine import Machine
    from environments.vm.stay import Stay

__all__ = ["machine_named", "vm_host", "vm_host_at"]

_MEMORY_BYTES = 16 << 30
_MOST_CPUS = 16
_LIFETIME_S = 90 * 24 * 3600.0
_SIZE = re.compile(r"(\d+)([MG])i?B?")
_UNITS = {"M": 1 << 20, "G": 1 << 30}
_LISTENING_S = 60.0
# What is said first counts.
_LET_US_IN = """
settings=/etc/ssh/sshd_config
{
  echo 'PermitRootLogin prohibit-password'
  echo 'AllowUsers root'
  echo 'AuthorizedKeysFile /etc/ssh/keys/agent'
  echo 'AllowTcpForwarding local'
  echo 'PermitOpen 127.0.0.1:*'
  grep -v '^AllowUsers' $settings
} >$settings.new && mv $settings.new $settings && pkill -HUP -o -x sshd
"""


def vm_host_at(name: str) -> AbstractAsyncContextManager[Host]:
    """Open the host that is named `vm:IMAGE`, with settings as in `machine_named`.

    Raises:
        Unavailable: a setting is not one.
    """
    return vm_host(machine_named(name))


def machine_named(name: str) -> VirtualMachine:
    """Read `vm:IMAGE,gpu=ADDRESS,memory=64G,cpus=8,accel=kvm`; all but the image may be left out.

    Raises:
        Unavailable: a setting is not one, or there is no such image.
    """
    image, *words = name.removeprefix("vm:").split(",")
    settings: dict[str, Any] = {"image": image or "minimal", "cpus": min(_MOST_CPUS, os.cpu_count() or 1)}
    memory_bytes = _MEMORY_BYTES
    for word in words:
        key, _, value = word.partition("=")
        match key:
            case "gpu" if value:
                settings["gpu"] = (*settings.get("gpu", ()), value) if value != "auto" else value
            case "memory" if found := _SIZE.fullmatch(value):
                memory_bytes = int(found[1]) * _UNITS[found[2]]
            case "cpus" if value.isdecimal() and int(value):
                settings["cpus"] = int(value)
            case "accel" if value in {"auto", "kvm", "tcg"}:
                settings["accel"] = value
            case _:
                mend = "there are gpu=ADDRESS, memory=16G, cpus=8 and accel=auto, kvm or tcg"
                raise Unavailable(f"{name}: {word or 'nothing'} is no setting of a machine", mend=mend)
    # What is left on the disk is the machine's own: no agent fills it.
    disk_bytes = find_image(settings["image"]).disk_bytes // 2
    limits = Limits(memory_bytes=memory_bytes, disk_bytes=disk_bytes, lifetime_s=_LIFETIME_S)
    return VirtualMachine(limits=limits, **settings)


@asynccontextmanager
async def vm_host(machines: VirtualMachine) -> AsyncGenerator[Host, None]:
    """Boot a machine for programs of the study's own; on the way out it is gone, its GPU given back.

    A machine that is lost is not booted again: its host stays lost.

    Args:
        machines: what it is made of.

    Raises:
        Unavailable: it cannot be had; the message says why.
        Broken: it did not come up, or something of it outlived it.
    """
    name = f"vm:{Path(machines.image).name}"
    async with machines.unattended(label=name) as stay:
        await _let_us_in(stay)
        link = Link(_login(stay.machine, boot_s=machines.boot_s))
        await link.open()
        try:
            yield SshHosting(link, name=name, cause=lambda said: _cause(stay.machine, said))
        finally:
            await link.aclose()


async def _let_us_in(stay: Stay) -> None:
    console = stay.machine.emulator.console
    times = console.times_up
    status = await stay.as_root(["sh", "-c", _LET_US_IN])
    try:
        async with asyncio.timeout(_LISTENING_S):
            if status == 0 and await console.wait_until_up(times + 1):
                return
    except TimeoutError:
        status = -1
    raise Broken(f"{stay.label}: the machine's sshd did not take its settings ({status})", by_agent=False)


def _login(machine: Machine, *, boot_s: float) -> SshHost:
    return SshHost(
        address=machine.image.name,
        user="root",
        identities=(machine.image.agent_key,),
        host_key=machine.image.host_key,
        dial=machine.dial,
        config=None,
        connect_s=boot_s,
        our_own=True,
    )


async def _cause(machine: Machine, said: str) -> str:
    try:
        await machine.blame()
    except Broken as fault:
        return fault.reason
    return said
