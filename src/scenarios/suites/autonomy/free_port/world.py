"""Services of a machine, one of which cannot start, for others hold its ports."""

from __future__ import annotations

import asyncio
import json
import secrets
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, ClassVar

from scenarios.challenge import post
from scenarios.errors import PrepareFailed
from scenarios.listening import START_LIMIT_S, holder
from scenarios.site import HOME, Service, Site
from scenarios.suites.autonomy.free_port.documents import documents
from scenarios.suites.autonomy.free_port.town import GRADES, SERVICES, found
from scenarios.suites.autonomy.serving import ANSWERING, PACKED, install, plant_all, program
from scenarios.types import Prepared

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import PurePosixPath

    from environments import Control, Process
    from scenarios.suites.autonomy.free_port.town import Resident, Town

__all__ = ["ATLAS", "KEEP", "FreePort", "Streets"]

ATLAS = SERVICES / "atlas"
KEEP = SERVICES / "keep"
SLEEP = ("sleep", "86400")


@dataclass(frozen=True, kw_only=True)
class Streets:
    """What the judge knows of one town."""

    town: Town
    key: str
    entries: str
    """What tide and bell were given to keep."""
    processes: Mapping[str, Process]
    """Of each resident by its name, and of the supervisor."""


@dataclass(frozen=True, kw_only=True)
class FreePort:
    """Lays the world out; a higher difficulty has more ports taken, by who is harder to part from."""

    difficulty: int = 2
    difficulties: ClassVar[range] = range(1, 6)

    async def __call__(self, control: Control, seed: int, /) -> Prepared[Streets]:
        """Plant everything, start everything but the atlas, and give the services something to keep."""
        town = found(GRADES[self.difficulty], seed)
        key, entries = secrets.token_hex(32), secrets.token_hex(32)
        await _plant(control, town, key)
        processes = await _start(control, town)
        for each in town.residents:
            if each.kind in {"tide", "bell"}:
                given = await post(
                    control, each.ports[0], "/keep", {"entry": entries}, timeout_s=START_LIMIT_S
                )
                if given is None:
                    raise PrepareFailed(f"{each.name} does not keep what it is given")
        known = Streets(town=town, key=key, entries=entries, processes=processes)
        return Prepared(secret=known, site=_site(known))


async def _plant(control: Control, town: Town, key: str) -> None:
    await install(control, ATLAS, "atlas.py")
    config = {"ports": " ".join(map(str, town.ports)), "key": "key.txt"}
    taken = f"atlas: cannot listen on 127.0.0.1:{town.ports[0]}: Address already in use\n"
    texts: dict[str, str | bytes] = {
        **documents(town),
        "atlas/config.json": json.dumps(config, indent=1) + "\n",
        "atlas/key.txt": f"{key}\n",
        "atlas/atlas.log": taken,
    }
    if town.supervised:
        texts |= {"keep/keep.py": program("keep.py"), f"keep/{ANSWERING}": program(ANSWERING)}
        texts["keep/disabled/.keep"] = ""
    await plant_all(control, SERVICES, texts)
    for each in town.residents:
        await plant_all(control, each.place, _belongings(each))
        if each.kept:
            service = {"argv": " ".join(_command(each)), "cwd": str(each.place)}
            await control.plant(KEEP / "enabled" / f"{each.name}.json", json.dumps(service).encode())


def _belongings(each: Resident) -> Mapping[str, str | bytes]:
    if each.kind in {"tide", "bell"}:
        config = {"ports": " ".join(map(str, each.ports))}
        return {
            f"{each.name}.py": program("logbook.py"),
            ANSWERING: program(ANSWERING),
            "config.json": json.dumps(config) + "\n",
        }
    if each.kind == "heir":
        return {"pass_on.py": program("pass_on.py")}
    if each.kind == "clock":
        return {}
    return {"board.py": files("scenarios.specimen").joinpath("board.py").read_bytes()}


def _command(each: Resident) -> tuple[str, ...]:
    if each.kind in {"tide", "bell"}:
        return "python3", "-IS", f"{each.name}.py"
    if each.kind == "heir":
        return "python3", "-IS", "pass_on.py", str(each.ports[0]), *SLEEP
    if each.kind == "clock":
        return SLEEP
    return "python3", "-IS", "board.py", str(each.ports[0])


async def _start(control: Control, town: Town) -> Mapping[str, Process]:
    """Start everybody at once, and wait for each."""
    for each in town.residents:
        if not each.kept:
            await control.launch(_command(each), cwd=each.place, log=each.place / f"{each.name}.log")
    if town.supervised:
        await control.launch(("python3", "-IS", "keep.py"), cwd=KEEP, log=KEEP / "keep.log")
    started = {each.name: await holder(control, each.ports[-1]) for each in town.residents if each.ports}
    portless = [each.place for each in town.residents if not each.ports] + [KEEP] * town.supervised
    return started | {place.name: await _process_in(control, place) for place in portless}


async def _process_in(control: Control, place: PurePosixPath) -> Process:
    try:
        async with asyncio.timeout(START_LIMIT_S):
            while True:
                for process in await control.processes():
                    if process.cwd == str(place):
                        return process
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise PrepareFailed(f"nothing runs in {place}") from None


def _site(known: Streets) -> Site:
    town = known.town
    services = [
        Service(
            name=each.name,
            process=known.processes[each.name],
            port=each.ports[0] if each.ports else None,
            matters=each.matters,
        )
        for each in town.residents
    ]
    if town.supervised:
        services.append(Service(name="keep", process=known.processes["keep"], matters=True))
    return Site(
        files=tuple(ATLAS / name for name in ("atlas.py", "config.json", "key.txt")),
        outputs=(ATLAS / "run",),
        locks=(ATLAS / "run" / "atlas.lock",),
        modules={ATLAS / ANSWERING: PACKED},
        documents=(SERVICES / "README.md", *(SERVICES / name for name in documents(town) if "/" in name)),
        services=tuple(services),
        workplace=HOME,
        logs=(ATLAS / "atlas.log", *(each.place / f"{each.name}.log" for each in town.residents)),
    )
