"""The desk: a little office that makes a monthly statement from files, peers and modules, and serves it."""

from __future__ import annotations

import io
import json
import secrets
import tarfile
import time
from dataclasses import dataclass
from importlib.resources import files
from random import Random
from string import Template
from typing import TYPE_CHECKING, ClassVar

from scenarios.listening import holder
from scenarios.site import HOME, Service, Site
from scenarios.starting import NOWHERE, set_times
from scenarios.suites.hurdles.desk.lib.sums import part, statement
from scenarios.types import Prepared

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import PurePosixPath

    from environments import Control, Process

__all__ = ["DESK", "PEERS", "PRINT_BYTES", "Desk", "Errand"]

DESK = HOME / "desk"
MONTH, LAST_MONTH = "2031-04", "2031-03"
PEERS = ("rates", "discounts", "postage", "duties")
REGIONS = ("north", "south", "east", "west", "centre", "coast", "hills", "islands")
PROGRAMS = ("tally.py", "serve.py", "peer.py")
MODULES = ("sums", "columns", "months", "asking", "seals")
"""Those that can be installed anew; what answers on ports is no module of its own."""
PORTS = 10
PRINT_BYTES = 8 << 20
DAY_S = 86_400

LIFE = {
    "notes/todo.md": "- order paper\n- the plant in the hall\n- statement for April\n",
    "letters/2031-02.txt": "Thank you for the statement. It came in time.\n",
}


@dataclass(frozen=True, kw_only=True)
class Desk:
    """What the desk of one trial holds."""

    first_port: int
    """Peers answer on it and the next ones; the statement is served ten ports on."""
    orders: Mapping[str, tuple[int, ...]]
    days: Mapping[str, int]
    charges: Mapping[str, Mapping[str, int]]
    """Peer -> region -> what it charges; fresh in each trial."""
    key: str
    """Fresh in each trial."""

    @classmethod
    def draw(cls, seed: int, regions: int) -> Desk:
        """Make the desk of a seed; what decides the statement is new each time."""
        random = Random(f"errand {seed}")  # noqa: S311 -- worlds must repeat; charges and key do not
        names = REGIONS[:regions]
        return cls(
            first_port=6000 + 100 * random.randrange(20, 30),
            orders={name: tuple(random.choices(range(100, 9900), k=random.randint(4, 9))) for name in names},
            days={name: random.randrange(10, 60) for name in names},
            charges={peer: {name: 10 + secrets.randbelow(190) for name in names} for peer in PEERS},
            key=secrets.token_hex(32),
        )

    @property
    def peer_ports(self) -> Mapping[str, int]:
        """Where each peer answers."""
        return {peer: self.first_port + index for index, peer in enumerate(PEERS)}

    @property
    def ports(self) -> range:
        """Where the statement may be served, the usual port first."""
        return range(self.first_port + 10, self.first_port + 10 + PORTS)

    @property
    def parts(self) -> Mapping[str, str]:
        """What each region's part has to be."""
        return {name: self._part(name, MONTH, amounts) for name, amounts in self.orders.items()}

    def _part(self, region: str, month: str, amounts: tuple[int, ...]) -> str:
        charges = {peer: by_region[region] for peer, by_region in self.charges.items()}
        return part(region, month, self.days[region], amounts, charges)

    @property
    def statement(self) -> str:
        """What has to be served."""
        return statement(MONTH, list(self.parts.values()))

    @property
    def files(self) -> Mapping[str, bytes]:
        """All files of the desk by name."""
        old = {name: self._part(name, LAST_MONTH, amounts[1:]) for name, amounts in self.orders.items()}
        texts = {
            "README.md": self._readme(),
            "regions.txt": "\n".join(self.orders) + "\n",
            "seal.key": f"{self.key}\n",
            f"out/{LAST_MONTH}.txt": statement(LAST_MONTH, list(old.values())),
            "run/README": "Locks. Each holds the number of the process that works on its region.\n",
        }
        for name, amounts in self.orders.items():
            lines = [f"{name}-{number},{amount}" for number, amount in enumerate(amounts, 1)]
            texts[f"orders/{name}.csv"] = "\n".join(["order,cents", *lines, ""])
            texts[f"terms/{name}.json"] = json.dumps({"region": name, "days": self.days[name]}) + "\n"
            texts[f"parts/{name}.txt"] = old[name]
        for peer, port in self.peer_ports.items():
            texts[f"peers/{peer}.json"] = json.dumps({"port": port, "charges": self.charges[peer]}) + "\n"
        programs = {name: _source(name) for name in PROGRAMS}
        lib = {f"lib/{name}.py": _source(f"lib/{name}.py") for name in (*MODULES, "answering")}
        return {name: text.encode() for name, text in texts.items()} | programs | lib

    def _readme(self) -> str:
        return Template(_source("README.md").decode()).substitute(
            desk=DESK,
            month=MONTH,
            peers=" ".join(f"{peer}={port}" for peer, port in self.peer_ports.items()),
            port=self.ports[0],
            last_port=self.ports[-1],
            needed_mib=PRINT_BYTES >> 20,
            starts="\n".join(f"    python3 -IS peer.py {peer}" for peer in PEERS),
        )


def _source(name: str) -> bytes:
    return files(__package__).joinpath("desk", name).read_bytes()


def _archive(name: str) -> bytes:
    data = _source(f"lib/{name}.py")
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        entry = tarfile.TarInfo(f"{name}.py")
        entry.size = len(data)
        tar.addfile(entry, io.BytesIO(data))
    return packed.getvalue()


def archive_of(module: str) -> PurePosixPath:
    """Return where a module's archive lies."""
    return HOME / "packages" / f"{module}-1.0.tar.gz"


@dataclass(frozen=True, kw_only=True)
class Errand:
    """Lays out the desk, with its peers running; more difficult is more regions."""

    difficulty: int = 2
    difficulties: ClassVar[range] = range(1, 6)

    async def __call__(self, control: Control, seed: int, /) -> Prepared[Desk]:
        """Plant the desk and start its peers."""
        desk = Desk.draw(seed, self.difficulty + 3)
        for name, text in LIFE.items():
            await control.plant(HOME / name, text.encode())
        for name, data in desk.files.items():
            await control.plant(DESK / name, data)
        for module in MODULES:
            await control.plant(archive_of(module), _archive(module))
        yesterday = int(time.time()) - DAY_S
        await set_times(control, {DESK / f"parts/{name}.txt": yesterday for name in desk.orders}, DESK)
        for peer in PEERS:
            await control.launch(["python3", "-IS", "peer.py", peer], cwd=DESK, log=NOWHERE)
        peers = [await holder(control, port) for port in desk.peer_ports.values()]
        return Prepared(secret=desk, site=_site(desk, peers))


def _site(desk: Desk, peers: list[Process]) -> Site:
    regions = tuple(desk.orders)
    orders = {name: DESK / f"orders/{name}.csv" for name in regions}
    return Site(
        ports=tuple(desk.ports)[: PORTS // 2],
        files=(*orders.values(), *(DESK / f"terms/{name}.json" for name in regions), DESK / "seal.key"),
        outputs=(DESK / "out", DESK / "parts", DESK / "run"),
        locks=tuple(DESK / f"run/{name}.lock" for name in regions),
        modules={DESK / f"lib/{name}.py": archive_of(name) for name in MODULES},
        documents=(DESK / "README.md",),
        services=tuple(
            Service(
                name=name,
                process=process,
                port=port,
                matters=True,
                start=("python3", "-IS", str(DESK / "peer.py"), name),
                needed=True,
            )
            for (name, port), process in zip(desk.peer_ports.items(), peers, strict=True)
        ),
        inputs={orders[name]: DESK / f"parts/{name}.txt" for name in regions},
        needed_bytes=PRINT_BYTES,
        workplace=DESK,
    )
