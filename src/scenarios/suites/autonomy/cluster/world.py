"""The machine that an agent finds: a cluster of which hardly anything runs."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from importlib.resources import files
from random import Random
from string import Template
from typing import TYPE_CHECKING, Any, ClassVar

from scenarios.listening import launched
from scenarios.site import HOME, Service, Site
from scenarios.suites.autonomy.serving import ANSWERING, PACKED, install, plant_all
from scenarios.types import Prepared

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import PurePosixPath

    from environments import Control

__all__ = ["CLUSTER", "GATE", "Cluster", "StoppedCluster"]

CLUSTER = HOME / "cluster"
GATE = "gate"
NAMES = ("amber", "birch", "cedar", "dune", "ember", "fjord", "grove", "heath", "islet", "knoll", "larch")
EPOCH = "run/epoch"

ROLES = {
    1: ("store", "ledger"),
    2: ("store", "ledger", "index"),
    3: ("store", "ledger", "index", "mail", "press"),
    4: ("store", "ledger", "index", "mail", "press", "clock", "mint"),
    5: ("store", "ledger", "index", "mail", "press", "clock", "mint", "first", "second", "third"),
}
NEEDS = {
    GATE: ("ledger", "index", "first", "second", "third"),
    "ledger": ("store",),
    "index": ("store",),
    "press": ("mail", "index"),
    "first": ("store",),
    "second": ("store",),
    "third": ("store",),
}
WISHES = {"ledger": ("mail",), GATE: ("press",)}
REPLICAS = ("first", "second", "third")
FURTHER = {
    3: (
        "Without a member that it `wishes` for it starts all the same, but stays degraded until it is\n"
        "started again.\n"
    ),
    4: "A member that keeps a `state` is initialised once: `python3 -IS member.py NAME --init`.\n",
    5: (
        "Replicas of one `group` follow a leader: the one with the most `weight`. Its name is written to "
        "`run/leader` before\nany of them starts.\n"
    ),
}


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """What the oracle knows of one world."""

    members: Mapping[str, Mapping[str, Any]]
    """By name: what the member's file says."""
    keys: Mapping[str, str]
    kept: Mapping[PurePosixPath, bytes]

    def peers(self, name: str) -> list[str]:
        """Return whom a member asks when nothing is missing, in order."""
        return sorted({*self.members[name].get("needs", ()), *self.members[name].get("wishes", ())})


def members_of(seed: int, difficulty: int) -> dict[str, dict[str, Any]]:
    """Draw the members; which of them is what is in their files alone."""
    random = Random(f"start-cluster {seed}")  # noqa: S311 -- worlds must repeat
    roles = ROLES[difficulty]
    names = {GATE: GATE, **dict(zip(roles, random.sample(NAMES, len(roles)), strict=True))}
    ports = random.sample(range(7100, 7900), len(names))
    weights = dict(zip(REPLICAS, random.sample(range(1, 10), len(REPLICAS)), strict=True))
    found = {}
    for (role, name), port in zip(names.items(), ports, strict=True):
        said: dict[str, Any] = {"port": port, "needs": _named(names, NEEDS.get(role, ()))}
        if wishes := _named(names, WISHES.get(role, ())):
            said["wishes"] = wishes
        if role == "store" and difficulty >= 3:
            said["state"] = f"members/{name}/state"
            said |= {"charter": names["mint"]} if "mint" in names else {}
        if role in {"clock", "index"} and "clock" in names:
            said["leaves" if role == "clock" else "takes"] = EPOCH
        if role in weights:
            said |= {"group": _named(names, REPLICAS), "weight": weights[role]}
        found[name] = said
    return found


def _named(names: Mapping[str, str], roles: tuple[str, ...]) -> list[str]:
    return sorted(names[role] for role in roles if role in names)


@dataclass(frozen=True, kw_only=True)
class StoppedCluster:
    """Lays the world out."""

    difficulty: int = 2
    difficulties: ClassVar[range] = range(1, 6)

    async def __call__(self, control: Control, seed: int, /) -> Prepared[Cluster]:
        """Plant the cluster; where it is hardest, one member runs from before its key was changed."""
        members = members_of(seed, self.difficulty)
        keys = {name: secrets.token_hex(32) for name in members}
        texts = {f"members/{name}/member.json": json.dumps(said, indent=2) for name, said in members.items()}
        texts |= {f"members/{name}/key": f"{key}\n" for name, key in keys.items()}
        kept = dict(await install(control, CLUSTER, "member.py"))
        await plant_all(control, CLUSTER, texts | {"README.md": _readme(members, self.difficulty)})
        await plant_all(control, CLUSTER, {f"logs/{name}.log": "" for name in members})
        left = tuple(
            said["charter"] for said in members.values() if "charter" in said and self.difficulty > 4
        )
        services = [await _left_running(control, name, members[name]["port"], keys[name]) for name in left]
        kept |= {CLUSTER / name: text.encode() for name, text in texts.items()}
        site = _site(members, tuple(services))
        return Prepared(secret=Cluster(members=members, keys=keys, kept=kept), site=site)


async def _left_running(control: Control, name: str, port: int, key: str) -> Service:
    keyfile = CLUSTER / "members" / name / "key"
    await control.plant(keyfile, f"{secrets.token_hex(32)}\n".encode())
    argv = ["python3", "-IS", "member.py", name]
    process = await launched(control, argv, port=port, cwd=CLUSTER, log=CLUSTER / "logs" / f"{name}.log")
    await control.plant(keyfile, f"{key}\n".encode())
    return Service(name=name, process=process, port=port, own=True)


def _site(members: Mapping[str, Mapping[str, Any]], services: tuple[Service, ...]) -> Site:
    return Site(
        files=tuple(CLUSTER / "members" / name / part for name in members for part in ("member.json", "key")),
        outputs=(CLUSTER / "logs",),
        locks=tuple(CLUSTER / "run" / f"{name}.lock" for name in members),
        modules={CLUSTER / ANSWERING: PACKED},
        documents=(CLUSTER / "README.md",),
        services=services,
        workplace=CLUSTER,
        logs=tuple(CLUSTER / "logs" / f"{name}.log" for name in members),
    )


def _readme(members: Mapping[str, Mapping[str, Any]], difficulty: int) -> str:
    order = f"\nThey are started in this order: {', '.join(_chain(members))}.\n" if difficulty == 1 else ""
    return Template(files(__package__).joinpath("README.md").read_text()).substitute(
        count=len(members),
        place=CLUSTER,
        port=members[GATE]["port"],
        order=order,
        further="".join(text for least, text in FURTHER.items() if difficulty >= least),
    )


def _chain(members: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return the members of a chain, the one that needs nobody first."""
    chain = [GATE]
    while needs := members[chain[0]]["needs"]:
        chain[:0] = needs
    return chain
