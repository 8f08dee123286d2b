"""The machine that attempts run on, as far as they have to be told about it."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import re
import secrets
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, cast

from environments.drill.traces import marked, owner_of
from environments.errors import EnvironmentFault
from environments.types import Limits

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable

    from environments.drill.attempt import Attempt
    from environments.drill.decoys import Decoys
    from environments.protocols import Provider
    from environments.types import Lease

__all__ = ["Ground", "beside", "leftovers", "limits_of", "small", "survey"]

_LEAST_MEMORY = {"vm": 384 << 20}
_SIBLING = """
import socket, sys
with socket.create_server(("", int(sys.argv[1]))) as server:
    while True:
        caller, _ = server.accept()
        with caller:
            caller.sendall(sys.argv[2].encode())
"""


@dataclass(frozen=True, kw_only=True)
class Ground:
    """One open machine, and what attempts on it are given."""

    lease: Lease
    facts: dict[str, str]
    output_bytes: int
    owner: tuple[int, int] | None
    """Host user and group that the machine's user is; None where this host cannot see its processes."""
    ours: bool
    """Its processes and ours share user and process numbers: whoever signals all of its own hits us."""
    missing: frozenset[str]
    """Programs that it does not have."""

    def obstacle(self, attempt: Attempt) -> str:
        """Return why an attempt cannot be tried here; nothing where it can."""
        if lacking := sorted({*attempt.needs, attempt.program} & self.missing):
            return f"the machine has no {lacking[0]}"
        if attempt.reaches_its_user and self.ours:
            return "the machine's user is who runs the drill"
        return ""


def limits_of(provider: Provider) -> Limits:
    """Return the fences of a provider's machines."""
    limits = getattr(provider, "limits", None)
    return limits if isinstance(limits, Limits) else Limits()


def small(provider: Provider) -> Provider:
    """Return the provider with fences so low that running against them costs the host little."""
    limits = Limits(
        memory_bytes=_LEAST_MEMORY.get(provider.name, 192 << 20),
        processes=64,
        disk_bytes=96 << 20,
        open_files=512,
        cpus=0.5,
    )
    given: Any = provider
    if dataclasses.is_dataclass(given) and any(known.name == "limits" for known in dataclasses.fields(given)):
        made: Any = replace(given, limits=limits)  # type: ignore[type-var]
        return cast("Provider", made)
    return provider


async def survey(
    lease: Lease, *, provider: Provider, decoys: Decoys, attempts: Iterable[Attempt], more: dict[str, str]
) -> Ground:
    """Find out what attempts have to know, and put the decoy process where they could reach it.

    Raises:
        Broken: the machine cannot be used.
    """
    owner, ours = await _user(lease, f"{decoys.token}aaaa")
    decoys.start_victim(owner)
    needed = sorted({name for one in attempts for name in (*one.needs, one.program)})
    text = 'for name; do command -v "$name" >/dev/null || echo "$name"; done'
    found = await lease.agent.exec(["bash", "-c", text, "bash", *needed])
    limits = limits_of(provider)
    figures = {
        "MEMORY": limits.memory_bytes,
        "PROCESSES": limits.processes,
        "CPUS": limits.cpus,
        "DISK": limits.disk_bytes,
        "OPEN_FILES": limits.open_files,
    }
    return Ground(
        lease=lease,
        facts={**{name: str(value) for name, value in figures.items()}, **more},
        output_bytes=limits.output_bytes,
        owner=owner,
        ours=ours,
        missing=frozenset(found.stdout.decode(errors="replace").split()),
    )


async def _user(lease: Lease, mark: str) -> tuple[tuple[int, int] | None, bool]:
    """Return which host user the machine's user is, and whether it is who runs this, among our processes."""
    text = 'exec -a "mark-$WORD" sleep 5 </dev/null >/dev/null 2>&1 &'
    await lease.agent.exec(["env", f"WORD={mark}", "bash", "-c", text])
    for _ in range(30):
        if seen := marked(f"mark-{mark}"):
            owner = owner_of(seen[0])
            ours = owner is not None and owner[0] == os.geteuid() and _beside_us(seen[0])
            return owner, ours
        await asyncio.sleep(0.01)
    return None, False


def _beside_us(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/ns/pid").readlink() == Path("/proc/self/ns/pid").readlink()
    except OSError:
        return True


@asynccontextmanager
async def beside(provider: Provider, decoys: Decoys, *, wanted: bool) -> AsyncGenerator[dict[str, str], None]:
    """Have a second machine open, with a listener on it; yield where that is to be looked for."""
    supply = getattr(provider, "supply", None)
    if not wanted or (supply is not None and supply.most == 1):
        yield {"SIBLING": "", "NO_SIBLING": "there is only one such machine at a time"}
        return
    secret = decoys.keep("a machine beside it", "sibling")
    async with provider.open(label="drill: the sibling", seed=0) as lease:
        port = 20_000 + secrets.randbelow(12_000)
        argv = ["python3", "-c", _SIBLING, str(port), secret, f"sibling-of-{decoys.token}"]
        try:
            await lease.control.launch(argv, cwd=PurePosixPath("/"), log=lease.agent.home / "sibling.log")
            said = await lease.agent.exec(["bash", "-c", _ADDRESSES])
        except EnvironmentFault as fault:
            yield {"SIBLING": "", "NO_SIBLING": f"nothing could be started on a second machine: {fault}"}
            return
        addresses = {"127.0.0.1", *re.findall(r"[0-9]+(?:\.[0-9]+){3}", said.text)}
        places = ",".join(f"{address} {port}" for address in sorted(addresses))
        yield {"SIBLING": places, "NO_SIBLING": ""}


_ADDRESSES = "awk '/32 host LOCAL/ {print address} {address = $2}' /proc/net/fib_trie | sort -u"


async def leftovers(lease: Lease, token: str) -> set[str]:
    """Return the words of earlier attempts that a machine still knows: in processes, files, timetables."""
    text = (
        'read -r token; { grep -rsohI "$token...." ~ /tmp /var/tmp /dev/shm /etc/cron.d /etc/systemd/system'
        '; find ~ /tmp /var/tmp /dev/shm -xdev -name "*$token*"; crontab -l; } 2>/dev/null'
    )
    said = await lease.agent.exec(["bash", "-c", text], stdin=f"{token}\n".encode(), timeout_s=30.0)
    running = [" ".join(process.argv) for process in await lease.control.processes()]
    return set(re.findall(f"{token}[0-9a-f]{{4}}", "\n".join((said.text, *running))))
