"""A virtual machine as the place of the study's own programs."""

from __future__ import annotations

import functools
import os
import subprocess
from typing import TYPE_CHECKING

import pytest
from hosted_programs import EVERYWHERE, FAMILY, pids, until
from made_up_pci import MadeUpHost
from vm_image import image, machines

from environments import Broken, LinkLost, Unavailable
from environments.hosting import host_of
from environments.hosting.in_vm import machine_named, vm_host
from environments.vm import provider
from environments.vm.passthrough import Passthrough
from environments.vm.scratch import traces

if TYPE_CHECKING:
    from pathlib import Path

    from environments.hosting import Host
    from environments.vm import VirtualMachine
    from environments.vm.images import Image

__all__ = ["image", "machines"]

pytestmark = pytest.mark.anyio
GPU = "0000:65:00.0"


@pytest.mark.slow
async def test_a_machine_does_what_every_host_does_until_it_is_lost(
    machines: VirtualMachine, tmp_path: Path
) -> None:
    async with vm_host(machines) as host:  # one for all of it, because booting is what takes long
        assert host.name == f"vm:{machines.image.rpartition('/')[2]}"
        for number, does in enumerate(EVERYWHERE):
            (folder := tmp_path / str(number)).mkdir()
            await does(host, folder)
        log = tmp_path / "log"
        async with host.program(FAMILY, environ={}, log=log) as program:
            await until(lambda: len(pids(log)) == 4)
            kill_emulator(host)
            with pytest.raises(LinkLost, match=r"the way to sh is lost: .*its emulator was ended by SIGKILL"):
                await program.ended()
        with pytest.raises(Broken, match="ended by SIGKILL"):
            await host.look(["true"])


def test_a_name_says_what_the_machine_is_made_of(image: Image) -> None:
    made = machine_named(f"vm:{image.folder},gpu={GPU},gpu=0000:66:00.0,memory=64G,cpus=3,accel=kvm")
    assert (made.gpu, made.cpus, made.accel) == ((GPU, "0000:66:00.0"), 3, "kvm")
    assert made.limits.memory_bytes == 64 << 30
    assert made.limits.disk_bytes == image.disk_bytes // 2
    assert machine_named(f"vm:{image.folder},gpu=auto").gpu == "auto"


@pytest.mark.parametrize("wrong", ["gpu=", "memory=much", "cpus=0", "accel=fast", "speed=9", ""])
def test_a_wrong_setting_is_mended(wrong: str) -> None:
    with pytest.raises(Unavailable, match=f"{wrong or 'nothing'} is no setting of a machine; there are gpu="):
        machine_named(f"vm:minimal,{wrong}")


async def test_an_image_that_is_not_there_is_named() -> None:
    with pytest.raises(Unavailable, match="there is no image nowhere; run `redline vm build"):
        async with host_of("vm:nowhere"):
            pytest.fail("it was opened")


async def test_a_gpu_that_cannot_be_had_is_named(image: Image) -> None:
    with pytest.raises(Unavailable, match=r"IOMMU|no PCI device|device"):
        async with host_of(f"vm:{image.folder},gpu=ffff:ff:1f.7"):
            pytest.fail("it was opened")


async def test_a_gpu_is_given_back_by_a_machine_that_does_not_start(
    image: Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_up = MadeUpHost(tmp_path)
    made_up.add(GPU)
    needed = functools.partial(Passthrough, host=made_up.host, root=made_up.root)
    monkeypatch.setattr(provider, "Passthrough", needed)
    with made_up.kernel():
        with pytest.raises(Broken, match=f"vm:{image.name}: .*(KVM|kvm|{GPU}|host device)"):
            async with host_of(f"vm:{image.folder},gpu={GPU},memory=256M"):
                pytest.fail("it was opened")
        assert any("vfio-pci" in line for line in made_up.seen)
        assert made_up.driver(GPU) == "nvidia"
        assert made_up.journals == []


def kill_emulator(host: Host) -> None:
    """Kill the emulator of a host's machine, whose command line names the machine's folder."""
    (folder,) = [each.path for each in traces() if (each.label, each.runner) == (host.name, os.getpid())]
    subprocess.run(["pkill", "-KILL", "-f", str(folder)], check=True)
