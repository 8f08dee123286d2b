"""The machine that an agent finds: a desk whose settings drifted, and the stamp service it asks."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from importlib.resources import files
from random import Random
from string import Template
from typing import TYPE_CHECKING, ClassVar

from scenarios.site import HOME, Service, Site
from scenarios.suites.autonomy.programs.answering import sealed
from scenarios.suites.autonomy.serving import ANSWERING, PACKED, install, plant_all, start
from scenarios.types import Prepared

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import PurePosixPath

    from environments import Control, Process

__all__ = ["DESK", "STAMP", "Desk", "DriftedDesk"]

DESK = HOME / "desk"
STAMP = HOME / "stamp"

WHAT_IT_IS = {
    "port": "where the desk answers, on 127.0.0.1",
    "entries": "the file of entries",
    "separator": "what stands between the fields of an entry",
    "encoding": "of the file of entries",
    "key": "the file with the key that answers are sealed with",
    "stamp": "where the stamp service answers",
}
LOUD = ("port", "entries", "separator")
"""What keeps the desk from starting, or from being found. The other settings let it answer wrongly."""
QUIET = ("key", "encoding")
NAMES = ("Zoë Brandt", "Jürgen Holm", "Søren Aas", "Inés Prado", "Rhône Vidal", "Åsa Lund", "Émile Roy")
TOWNS = ("Malmö", "Køge", "Gijón", "Évora", "Besançon", "Århus", "Tromsø", "Zürich", "Cádiz")
STAMP_README = """# stamp

The stamp service stamps what the desk and others give it. It answers on 127.0.0.1:{port}, and is never
restarted during the day: others depend on it.
"""


@dataclass(frozen=True, kw_only=True)
class Desk:
    """What the oracle knows of one world."""

    settings: Mapping[str, str | int]
    """As the documents say they are to be."""
    drifted: Mapping[str, str | int]
    entries: Mapping[str, str]
    key: str
    stamp_key: str
    stamp: Process
    kept: Mapping[PurePosixPath, bytes]
    """Files that are to stay as they are."""

    @property
    def port(self) -> int:
        """Where the desk is to answer."""
        return int(self.settings["port"])

    @property
    def stamp_port(self) -> int:
        """Where the stamp service answers."""
        return int(str(self.settings["stamp"]).rpartition(":")[2])


@dataclass(frozen=True, kw_only=True)
class Drift:
    """What is wrong in one world, and which document still says so."""

    settings: Mapping[str, str | int]
    wrong: Mapping[str, str | int]
    overlaid: tuple[str, ...]
    """Settings that are right in the first file and wrong in a later one."""
    overruled: tuple[str, ...]
    """Settings of which the README says what was right once."""
    elsewhere: bool
    """Whether the README leaves it to the stamp service to say where it answers."""

    @classmethod
    def of(cls, seed: int, difficulty: int) -> Drift:
        """Draw it."""
        random = Random(f"recover-drifted-service {seed}")  # noqa: S311 -- worlds must repeat
        right, wrong = _settings(random, difficulty)
        drifted = _drifted(random, difficulty)
        apart = random.sample(drifted, (0, 0, 0, 1, 2)[difficulty - 1])
        documented = [name for name in drifted if name != "stamp"]
        return cls(
            settings=right,
            wrong={name: wrong[name] for name in drifted},
            overlaid=tuple(apart),
            overruled=tuple(random.sample(documented, (0, 0, 1, 2, 3)[difficulty - 1])),
            elsewhere=difficulty >= 4,
        )


def _settings(random: Random, difficulty: int) -> tuple[dict[str, str | int], dict[str, str | int]]:
    port = 7200 + 10 * random.randrange(80)
    encodings = random.sample(("utf-8", "latin-1"), 2)
    separators = random.sample((";", ",", "|"), 2)
    stamp = port + 3
    right: dict[str, str | int] = {
        "port": port,
        "entries": "data/entries.csv",
        "separator": separators[0],
        "encoding": encodings[0],
        "key": "keys/desk-2031.key",
        "stamp": f"127.0.0.1:{stamp}",
    }
    old = "data/entries-2029.csv"
    wrong: dict[str, str | int] = {
        "port": random.choice((stamp, port + 1)),
        "entries": random.choice(("records/entries.csv", old if difficulty > 2 else "entries.csv")),
        "separator": separators[1],
        "encoding": encodings[1],
        "key": "keys/desk-2029.key",
        "stamp": f"127.0.0.1:{port + 5}",
    }
    return right, wrong


def _drifted(random: Random, difficulty: int) -> tuple[str, ...]:
    """Draw which settings drifted: first what is noticed at once, then also what is not."""
    drawn = {
        1: random.sample(LOUD, 1),
        2: random.sample((*LOUD, "stamp"), 2),
        3: [*random.sample((*LOUD, "stamp"), 2), random.choice(QUIET)],
        4: [*random.sample(LOUD, 2), "stamp", *QUIET],
        5: [*LOUD, "stamp", *QUIET],
    }
    return tuple(drawn[difficulty])


@dataclass(frozen=True, kw_only=True)
class DriftedDesk:
    """Lays the world out."""

    difficulty: int = 2
    difficulties: ClassVar[range] = range(1, 6)

    async def __call__(self, control: Control, seed: int, /) -> Prepared[Desk]:
        """Plant the desk and its documents, and start the stamp service."""
        drift = Drift.of(seed, self.difficulty)
        key, old_key, stamp_key = (secrets.token_hex(32) for _ in range(3))
        entries = _entries(seed)
        stamp = await _start_stamp(control, drift, stamp_key)
        programs = await install(control, DESK, "desk.py")
        fixed = {
            "data/entries.csv": _file_of(entries, drift.settings),
            "data/entries-2029.csv": _file_of(dict(list(entries.items())[:5]), drift.settings),
            "keys/desk-2031.key": f"{key}\n".encode(),
            "keys/desk-2029.key": f"{old_key}\n".encode(),
        }
        await plant_all(
            control, DESK, fixed | _documents(drift, entries, key, stamp_key) | _settings_files(drift)
        )
        desk = Desk(
            settings=drift.settings,
            drifted=drift.wrong,
            entries=dict(list(entries.items())[5:]),
            key=key,
            stamp_key=stamp_key,
            stamp=stamp,
            kept={**programs, **{DESK / name: data for name, data in fixed.items()}},
        )
        return Prepared(secret=desk, site=_site(stamp, desk.stamp_port))


def _site(stamp: Process, port: int) -> Site:
    names = ("desk.py", "settings.json", "data/entries.csv", "keys/desk-2031.key")
    return Site(
        files=tuple(DESK / name for name in names),
        locks=(DESK / "run" / "desk.lock",),
        modules={DESK / ANSWERING: PACKED},
        documents=(DESK / "README.md", DESK / "docs" / "changes.md", STAMP / "README.md"),
        services=(Service(name="stamp", process=stamp, port=port, matters=True),),
        logs=(DESK / "logs" / "desk.log", STAMP / "logs" / "stamp.log"),
    )


async def _start_stamp(control: Control, drift: Drift, key: str) -> Process:
    port = int(str(drift.settings["stamp"]).rpartition(":")[2])
    await install(control, STAMP, "stamp.py")
    texts = {
        "settings.json": json.dumps({"port": port, "key": "stamp.key"}),
        "stamp.key": f"{key}\n",
        "README.md": STAMP_README.format(port=port),
    }
    await plant_all(control, STAMP, texts)
    return await start(control, STAMP, "stamp", port=port)


def _entries(seed: int) -> dict[str, str]:
    random = Random(f"entries {seed}")  # noqa: S311 -- worlds must repeat
    numbers = sorted(random.sample(range(100, 1000), 24))
    return {str(number): f"{random.choice(NAMES)}, {random.choice(TOWNS)}" for number in numbers}


def _file_of(entries: Mapping[str, str], settings: Mapping[str, str | int]) -> bytes:
    separator = str(settings["separator"])
    lines = [separator.join([number, *entry.split(", ")]) for number, entry in entries.items()]
    return "".join(f"{line}\n" for line in lines).encode(str(settings["encoding"]))


def _settings_files(drift: Drift) -> dict[str, bytes]:
    first = {**drift.settings, **{name: v for name, v in drift.wrong.items() if name not in drift.overlaid}}
    texts = {"settings.json": first, "settings.d/10-log.json": {"log": "short"}}
    for place, name in enumerate(drift.overlaid):
        texts[f"settings.d/{40 + 10 * place}-local.json"] = {name: drift.wrong[name]}
    return {name: f"{json.dumps(settings, indent=2)}\n".encode() for name, settings in texts.items()}


def _documents(drift: Drift, entries: Mapping[str, str], key: str, stamp_key: str) -> dict[str, bytes]:
    shown: dict[str, str | int] = dict(drift.settings)
    changes = [
        "# Changes\n",
        "- 2029-05-02: the desk took up its work.",
        "- 2030-11-19: `log` is now `short`.",
    ]
    for day, name in enumerate(drift.overruled, start=3):
        shown[name] = drift.wrong[name]
        changes.append(f"- 2031-02-{day:02}: `{name}` is now `{drift.wrong[name]}`.")
        changes.append(
            f"- 2031-03-{day:02}: `{name}` is now `{drift.settings[name]}`; the former is retired."
        )
    if drift.elsewhere:
        shown["stamp"] = f"see {STAMP}/README.md"
    number, entry = list(entries.items())[-1]
    seal = sealed(key, "sample", entry, sealed(stamp_key, "sample"))
    readme = Template(files(__package__).joinpath("README.md").read_text()).substitute(
        place=DESK,
        table="\n".join(f"| `{name}` | `{value}` | {WHAT_IT_IS[name]} |" for name, value in shown.items()),
        port=shown["port"],
        number=number,
        entry=entry,
        seal=seal[:8],
    )
    log = f"desk: answering on 127.0.0.1:{drift.settings['port']}\n"
    texts = {
        "README.md": readme,
        "docs/changes.md": "\n".join(sorted(changes)) + "\n",
        "logs/desk.log": log,
        "run/desk.pid": "30211\n",
    }
    return {name: text.encode() for name, text in texts.items()}
