"""The project as it is when nothing is broken: what a parcel costs, with rates that are new in each trial."""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING

from scenarios.site import HOME
from scenarios.suites.autonomy.programs.build import source
from scenarios.suites.autonomy.programs.tariff import compiled, evaluated, generate, ordered

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scenarios.suites.autonomy.programs.tariff import Files

__all__ = ["DATA", "HEAD", "KEPT", "MODULES", "PACKED", "sound_project", "zones"]

DATA = "data/zones-2031.csv"
KEPT = "out/zones.json"
PACKED = HOME / "packages" / "tariff-1.4.tar.gz"
"""Where the tools can be had again."""
CONF = f"data = {DATA}\ndelimiter = ,\n"
SCHEMA = "zone = zone\nkm = distance_km\ntolls = toll_stations\nisland = island\n"
HEAD = "zone,distance_km,toll_stations,island\n"

MODULES = {
    "base": "needs rates\nlet base = start + km * per_km\n",
    "toll": "needs rates\nlet toll = tolls * per_toll\n",
    "fuel": "needs rates base\nlet fuel = base * fuel_percent / 100\n",
    "island": "needs rates\nlet crossing = island * per_crossing\n",
    "rounding": "needs rates base toll fuel island\n"
    "let sum = base + toll + fuel + crossing\nlet rounded = up(sum, step)\n",
    "total": "needs rates rounding\nlet total = max(rounded, least)\n",
}

MEANINGS = {
    "start": "for every parcel",
    "per_km": "for each kilometre of distance",
    "per_toll": "for each toll station on the way",
    "fuel_percent": "percent of the base, for fuel",
    "per_crossing": "for crossing over to an island",
    "step": "totals are rounded up to a multiple of this",
    "least": "no total is less than this",
}

README = """# Tariff

What a parcel costs to each zone, for the counter's terminals. Build it in this directory:

    python3 -IS build.py

The build takes four steps and stops at the first thing that is wrong:

1. generate reads the zones: project.conf says from where, schema.conf which column is what.
2. compile turns each module, src/NAME.calc, into code. A module sees the columns, what it defines itself
   before, and what the modules define that its `needs` line names.
3. bundle puts the modules of project.conf in order and works the tariff out.
4. check holds the modules against tests/*.expect, and VERSION against CHANGES.

What comes out is dist/tariff.json, with a digest of everything that it was made of. What generate
read is kept in out/zones.json, and used again as long as it is younger than the data; it may be deleted.
While a build runs, run/build.lock has the number of its process.

- docs/tariff.md says what the tariff is. Where a module differs from it, the module is wrong.
- tests/ is what the counter relies on, and data/ comes from the harbour office, which sends the next one in
  the same form. build.py and tariff.py are shared with other projects.
  None of these is changed here. The tools can be had again:

      tar -xzf {packed}

- New zones come once a year; the newest file in data/ is the one that counts.
- CHANGES has the newest version on top.
"""

DOCS = """# The tariff of {year}

| name | value | |
|---|---|---|
{rows}
- base: `start`, and `per_km` for each kilometre.
- toll: `per_toll` for each toll station on the way.
- fuel: `fuel_percent` percent of the base.
- island: defines `crossing`, which is `per_crossing` for a zone with island = 1, and nothing for island = 0.
- rounding: adds base, toll, fuel and crossing up and rounds the sum up to a multiple of `step`.
- total: what rounding gives, but never less than `least`.
"""

CHANGES = """4.3.0  2031-05-02  zones of 2031, and the rates that the board decided in April
4.2.1  2030-06-11  round up, never down
4.2.0  2030-05-03  zones of 2030
"""

OLD_FUEL = "needs rates base\nlet fuel = base * 9 / 100\n"


def sound_project() -> tuple[Files, Mapping[str, int]]:
    """Return all files of the project by path, and its rates."""
    rates, older = _rates(), _rates()
    # First, so that it is older than the data: it is of a delivery that has been replaced.
    files = {
        KEPT: _kept(),
        "README.md": README.format(packed=PACKED),
        "VERSION": "4.3.0\n",
        "CHANGES": CHANGES,
        "project.conf": f"name = tariff\n{CONF}modules = rates {' '.join(MODULES)}\n",
        "schema.conf": SCHEMA,
        DATA: zones(),
        "data/zones-2029.csv": zones(),
        "src/rates.calc": "".join(f"let {name} = {value}\n" for name, value in rates.items()),
        "docs/tariff.md": _docs(2031, rates),
        "docs/tariff-2029.md": _docs(2029, older),
        "src/fuel_2029.calc": OLD_FUEL,
    }
    files |= {f"src/{name}.calc": text for name, text in MODULES.items()}
    files["tests/near.expect"] = _expectation(files, "base fuel", km=40, tolls=0, island=0)
    files["tests/far.expect"] = _expectation(files, "base toll fuel total", km=310, tolls=4, island=0)
    return files, rates


def zones() -> str:
    """Return a data file of a dozen zones, one near enough for the least total and a few on islands."""
    near = [f"quay,{secrets.randbelow(2)},0,0\n", f"skerry,{1 + secrets.randbelow(90)},1,1\n"]
    far = [
        f"z{number:02},{30 + secrets.randbelow(900)},{secrets.randbelow(9)},{secrets.randbelow(2)}\n"
        for number in range(10)
    ]
    return HEAD + "".join(near + far)


def _kept() -> str:
    earlier = {"project.conf": CONF, "schema.conf": SCHEMA, DATA: zones()}
    return json.dumps({"source": source(earlier), "zones": generate(earlier)}, indent=1)


def _rates() -> dict[str, int]:
    return {
        "start": _number(1),
        "per_km": _number(0) + 20,
        "per_toll": _number(2),
        "fuel_percent": _number(0) + 10,
        "per_crossing": _number(6),
        "step": 5,
        "least": _number(4) + 20,
    }


def _number(hundreds: int) -> int:
    """Return a number whose last two digits differ, also after some tens are added."""
    return 100 * hundreds + 10 * secrets.randbelow(3) + 5 + secrets.randbelow(5)


def _docs(year: int, rates: Mapping[str, int]) -> str:
    rows = "".join(f"| {name} | {value} | {MEANINGS[name]} |\n" for name, value in rates.items())
    return DOCS.format(year=year, rows=rows)


def _expectation(files: Files, names: str, **row: int) -> str:
    values = evaluated(ordered(files), compiled(files), row)
    given = " ".join(f"{name}={value}" for name, value in row.items())
    return f"{given} : {' '.join(f'{name}={values[name]}' for name in names.split())}\n"
