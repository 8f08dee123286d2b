"""What is said to engines, and what they say that keeps a container from starting."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING

import container_engine
import pytest

from environments import Limits, Unavailable
from environments.containers import Containers, try_out
from environments.containers.engines import Engine, find
from environments.containers.obstacles import explain

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio

LIMITS = Limits(memory_bytes=256 << 20, processes=64, disk_bytes=96 << 20, open_files=512)


async def refusal(provider: Containers) -> str:
    with pytest.raises(Unavailable) as caught:
        async with provider.open(label="test", seed=0):
            pass
    assert "\n" not in str(caught.value)
    return str(caught.value)


async def test_a_missing_image_is_not_fetched(provider: Containers, podman: Path) -> None:
    said = await refusal(replace(provider, image="docker.io/library/debian:13"))
    assert said.startswith("there is no image docker.io/library/debian:13; podman pull docker.io/library/deb")
    listed = subprocess.run([str(podman), "images", "--quiet"], capture_output=True, text=True, check=True)  # noqa: ASYNC221
    assert len(listed.stdout.split()) == 2


async def test_an_image_without_python(provider: Containers) -> None:
    said = await refusal(replace(provider, image=container_engine.EMPTY))
    assert said.startswith(
        f"image {container_engine.EMPTY} has no python3, which redline needs inside; build"
    )


async def test_no_image_at_all() -> None:
    assert (await refusal(Containers())).startswith("no image is named; Containers(image=")


async def test_no_engine_at_all(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert await refusal(Containers(image="x")) == (
        "neither podman nor docker is installed; sudo apt-get install podman"
    )
    assert (await refusal(Containers(image="x", engine="docker"))).startswith("docker is not installed")
    with pytest.raises(ValueError, match="'lxc' is no container engine"):
        find("lxc")


@pytest.mark.skipif(shutil.which("podman") is None, reason="podman is not installed")
async def test_an_engine_that_starts_nothing_says_why_in_one_line(podman: Path) -> None:
    """The same Podman, on a host with both generations of control groups: there it cannot start anything."""
    del podman
    try:
        await try_out("podman")
    except Unavailable as fault:
        assert "\n" not in str(fault)  # noqa: PT017  whether it is raised depends on the host
        assert fault.mend  # noqa: PT017
        if "generations" in str(fault):
            assert "umount /sys/fs/cgroup/unified" in fault.mend  # noqa: PT017


async def test_a_docker_client_without_its_daemon(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    if shutil.which("docker") is None:
        pytest.skip("docker is not installed")
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    expected = "the Docker daemon is not running; sudo systemctl start docker"
    with pytest.raises(Unavailable) as caught:
        await try_out("docker")
    assert str(caught.value) == expected
    assert await refusal(Containers(image="x", engine="docker")) == expected


async def test_auto_names_every_engines_reason(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, complaint in (("podman", "image not known"), ("docker", "Cannot connect to the Docker daemon")):
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\necho '{complaint}' >&2\nexit 125\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    said = await refusal(Containers(image="x"))
    assert said.startswith("there is no image x; podman pull x; redline fetches none by itself; the Docker")


@pytest.mark.parametrize(
    ("complaint", "reason"),
    [
        (
            "Error: OCI runtime error: crun: cgroups in hybrid mode not supported, drop all controllers",
            "podman cannot start containers: this host mounts both generations of control groups",
        ),
        (
            "docker: permission denied while trying to connect to the Docker daemon socket at unix:///var",
            "this user may not talk to the Docker daemon",
        ),
        (
            "Error: cannot find newuidmap: exec: newuidmap: executable file not found in $PATH",
            "this user has no range of user ids for containers",
        ),
        (
            "Error: crun: setrlimit `RLIMIT_NPROC`: Operation not permitted: OCI permission denied",
            "podman asks for higher limits than this process may hand on",
        ),
        (
            'exec: "python3": executable file not found in $PATH: unknown.',
            "image img has no python3, which redline needs inside",
        ),
        (
            "Error: unknown flag: --cgroupns",
            "this podman is too old: it does not know --cgroupns",
        ),
        ("a line\nsomething new {odd}\n", "the container did not start: something new {odd}"),
        ("", "the container did not start: no reason was given"),
    ],
)
def test_what_engines_say_is_put_into_one_line(complaint: str, reason: str) -> None:
    fault = explain("podman", complaint, image="img")
    assert fault.reason == reason
    assert fault.mend


def test_what_docker_is_told() -> None:
    docker = Engine(name="docker", program="/usr/bin/docker")
    line = " ".join(docker.run("img", "redline-1", ("python3", "-c", "x"), limits=LIMITS))
    line = line[line.index("/usr/bin/docker") :]
    assert line == (
        "/usr/bin/docker run --interactive --rm --pull=never --name=redline-1 --label=redline=machine "
        "--network=none --cgroupns=private --ipc=private --read-only --cap-drop=all "
        "--security-opt=no-new-privileges --user=1000:1000 --hostname=machine --workdir=/home/agent "
        "--log-driver=none --stop-timeout=0 --no-healthcheck --memory=268435456 --memory-swap=268435456 "
        "--pids-limit=72 --cpus=2 --ulimit=nofile=512:512 --ulimit=nproc=4096:4096 --shm-size=16777216 "
        "--tmpfs=/tmp:rw,exec,nosuid,nodev,size=15532032,mode=1777,uid=1000,gid=1000 "
        "--tmpfs=/var/tmp:rw,exec,nosuid,nodev,size=5177344,mode=1777,uid=1000,gid=1000 "
        "--tmpfs=/home/agent:rw,exec,nosuid,nodev,size=62128128,mode=0700,uid=1000,gid=1000 "
        "--env=HOME=/home/agent --env=USER=agent --env=LOGNAME=agent --env=SHELL=/bin/sh --env=LANG=C.UTF-8 "
        "--env=TERM=dumb --entrypoint=python3 img -c x"
    )


@pytest.mark.skipif(shutil.which("docker") is None, reason="docker is not installed")
def test_docker_understands_every_option() -> None:
    """Its client reads all of them before it looks for its daemon."""
    docker = Engine(name="docker", program=shutil.which("docker") or "")
    line = docker.run("img", "redline-1", ("python3",), limits=LIMITS)
    line[line.index("run") : line.index("run")] = ["--host=unix:///nowhere/docker.sock"]
    said = subprocess.run(line, capture_output=True, text=True, check=False, timeout=30).stderr
    assert "Cannot connect to the Docker daemon" in said, said
    line.insert(line.index("run") + 1, "--no-such-option")
    said = subprocess.run(line, capture_output=True, text=True, check=False, timeout=30).stderr
    assert "unknown flag" in said
