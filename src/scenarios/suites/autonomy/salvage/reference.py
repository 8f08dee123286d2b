"""How a person would do it: everything off the card first, then work out what belongs on it."""

from __future__ import annotations

from binascii import crc32
from collections import defaultdict
from typing import TYPE_CHECKING

from scenarios.hands import shell
from scenarios.suites.autonomy.mending import mend
from scenarios.suites.autonomy.programs.card import recombined, segment_fault

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from environments import Environment

__all__ = ["ASIDE", "card", "read_card", "restored", "salvage", "write_back"]

ASIDE = "salvage"
"""Where the card's files are laid aside, below the home."""

LOOK = f"""
cd recorder && cat README.md recorder.conf recorder.log && python3 -IS card.py check
python3 -IS card.py unload ~/{ASIDE}
"""
PRINT = f"cd ~/{ASIDE} && find . -type f ! -name 'plot-*' -printf '%P\\n' | xargs grep -a ''"


async def salvage(env: Environment, /) -> str:
    """Unload the card, get back every segment from copies, halves and parity, make room, write them back."""
    await mend(env, "recorder")
    found = await read_card(env)
    new = restored(found)
    # Everything is laid aside, so whatever is a part of something can go, and only that.
    parts = [name for name in found if name.startswith(("tmp/", "cache/swap-"))]
    await write_back(env, new, parts)
    said = await card(env, "check")
    return f"Got back {', '.join(sorted(new))}; the card's check says: {said.strip()}"


async def card(env: Environment, *words: str) -> str:
    """Run one of the card's commands."""
    return await shell(env, 'cd recorder && python3 -IS card.py "$@"', *words)


async def read_card(env: Environment) -> dict[str, bytes]:
    """Read the documents, unload the card and return its files, drawings left out."""
    await shell(env, LOOK)
    found: defaultdict[str, bytes] = defaultdict(bytes)
    for line in (await shell(env, PRINT)).splitlines():
        name, _, text = line.partition(":")
        found[name] += text.encode() + b"\n"
    return dict(found)


def restored(found: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return every damaged segment that can be had in its right revision."""
    segments = {name: data for name, data in found.items() if name.startswith("seg/")}
    new: dict[str, bytes] = {}
    while wanting := [name for name in segments if segment_fault(segments[name])]:
        got = {name: whole for name in wanting if (whole := _whole(name, segments, found))}
        if not got:
            break
        segments |= got
        new |= got
    return new


def _whole(name: str, segments: Mapping[str, bytes], found: Mapping[str, bytes]) -> bytes | None:
    head = segments[name].partition(b"\n")[0]
    alike = [data for data in found.values() if data.partition(b"\n")[0] == head]
    bodies = [_merged(alike), _from_parity(name, segments, found)]
    return next((whole for body in bodies if not segment_fault(whole := head + b"\n" + body)), None)


def _merged(copies: Iterable[bytes]) -> bytes:
    """Return the records of copies of one revision, each from where it is whole."""
    rows = zip(*(copy.splitlines(keepends=True)[1:] for copy in copies), strict=False)
    return b"".join(next((line for line in row if _sound(line)), row[0]) for row in rows)


def _sound(record: bytes) -> bool:
    text, _, mark = record.strip().rpartition(b" ")
    return f"{crc32(text) & 0xFFFF:04x}".encode() == mark


def _from_parity(name: str, segments: Mapping[str, bytes], found: Mapping[str, bytes]) -> bytes:
    for data in (data for each, data in found.items() if each.startswith("par/")):
        group = [f"seg/{word}" for word in data.partition(b"\n")[0].decode().split()[2:]]
        others = [each for each in group if each != name]
        if name in group and not any(segment_fault(segments[each]) for each in others):
            return recombined(data, [segments[each].partition(b"\n")[2] for each in others])
    return b""


async def write_back(env: Environment, new: Mapping[str, bytes], gone: Iterable[str]) -> None:
    """Delete drawings and the named files, then put segments on the card."""
    for name, data in new.items():
        await env.write(env.home / ASIDE / "new" / name, data)
    plots = await shell(env, f"cd {ASIDE} && find cache -name 'plot-*'")
    if waste := [*plots.split(), *gone]:
        await card(env, "rm", *waste)
    await card(env, "put", *(word for name in new for word in (name, f"../{ASIDE}/new/{name}")))
