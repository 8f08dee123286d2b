"""What is on a card: segments sound and damaged, what they can be got back from, and what is in the way.

Where things lie repeats by seed. What is recorded is new each time, so that nobody knows it beforehand.
"""

from __future__ import annotations

import secrets
from binascii import crc32
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING

from scenarios.suites.autonomy.programs.card import Card, blocks_for

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["GRADES", "Contents", "Grade"]

RECORDS = 12
GROUP = 3


@dataclass(frozen=True, kw_only=True)
class Grade:
    """How hard a card is."""

    groups: int
    """Parity groups of three segments."""
    damage: tuple[tuple[str, ...], ...]
    """One entry a group, one word a damaged segment: what it takes to get it back.

    `copy`: a whole copy lies elsewhere. `parity`: the rest of the group, once that is sound. `half`: two
    damaged copies have what the other lacks; `thirds`: it takes three.
    """
    plots: int
    """Files that may be deleted without a thought, of `plot_blocks` each."""
    plot_blocks: int
    spare: int
    """Copies of sound segments, among the copies that are needed."""
    wanted: int
    """Blocks that must be free in the end."""


GRADES: Mapping[int, Grade] = {
    1: Grade(groups=2, damage=(("copy",), ("copy",)), plots=4, plot_blocks=6, spare=1, wanted=16),
    2: Grade(groups=3, damage=(("copy", "parity"),), plots=4, plot_blocks=6, spare=3, wanted=16),
    3: Grade(groups=4, damage=(("copy",), ("half", "parity")), plots=2, plot_blocks=6, spare=4, wanted=16),
    4: Grade(
        groups=5,
        damage=(("copy", "parity"), ("half", "half"), ("parity",)),
        plots=1,
        plot_blocks=4,
        spare=6,
        wanted=24,
    ),
    5: Grade(
        groups=7,
        damage=(("thirds", "parity"), ("copy", "parity"), ("half", "thirds"), ("parity",)),
        plots=0,
        plot_blocks=0,
        spare=8,
        wanted=32,
    ),
}


@dataclass(kw_only=True)
class Contents:
    """A card's files as they are found, and what the segments among them have to be."""

    files: dict[str, bytes] = field(default_factory=dict)
    segments: dict[str, bytes] = field(default_factory=dict)
    """As recorded, before anything was damaged."""
    damaged: list[str] = field(default_factory=list)

    @classmethod
    def drawn(cls, grade: Grade, seed: int) -> Contents:
        """Fill a card."""
        random = Random(f"salvage {seed}")  # noqa: S311 -- worlds must repeat; the records do not
        drawn = cls()
        drawn._record(grade)
        order = random.sample(range(grade.groups), grade.groups)
        for group, kinds in zip(order, grade.damage, strict=False):
            members = random.sample(drawn._members(group), GROUP)
            for name, kind in zip(members, kinds, strict=False):
                drawn._damage(name, kind, random)
        sound = [name for name in drawn.segments if name not in drawn.damaged]
        for name in random.sample(sound, grade.spare):
            drawn._part(random, drawn.segments[name])
        for number in range(grade.plots):
            plot = f"plot {number}\n".encode() + random.randbytes(127 * grade.plot_blocks)
            drawn.files[f"cache/plot-{random.randrange(1000, 10000)}"] = plot[: 128 * grade.plot_blocks]
        return drawn

    def card(self) -> Card:
        """Return a card on which nothing more fits."""
        return Card(sum(blocks_for(len(data)) for data in self.files.values()), dict(self.files))

    @property
    def kept(self) -> Mapping[str, bytes]:
        """Everything that must still be there in the end, damaged segments left out."""
        originals = {name: data for name, data in self.files.items() if name.startswith(("cal/", "par/"))}
        return originals | {k: v for k, v in self.segments.items() if k not in self.damaged}

    def _record(self, grade: Grade) -> None:
        for number in range(GROUP * grade.groups):
            name = f"seg/{number:03}"
            self.segments[name] = _segment(number, _records(number), revision=3)
        for group in range(grade.groups):
            members = self._members(group)
            value = 0
            for name in members:
                value ^= int.from_bytes(_body(self.segments[name]), "big")
            size = len(_body(self.segments[members[0]]))
            words = " ".join(name.partition("/")[2] for name in members)
            self.files[f"par/{group}"] = f"parity of {words}\n{value:0{2 * size}x}\n".encode()
        self.files |= self.segments
        for sensor in range(2):
            self.files[f"cal/{sensor}"] = f"sensor {sensor} offset {secrets.randbelow(9000)}\n".encode()

    def _members(self, group: int) -> list[str]:
        return [f"seg/{number:03}" for number in range(GROUP * group, GROUP * (group + 1))]

    def _damage(self, name: str, kind: str, random: Random) -> None:
        self.damaged.append(name)
        whole = self.segments[name]
        lines = random.sample(range(RECORDS), RECORDS)
        # No line is whole in none of them, and none of them has all.
        ways = {"copy": 1, "parity": 1, "half": 2, "thirds": 3}[kind]
        hurt = [[lines[i] for i in range(RECORDS) if i % ways != way] for way in range(ways)]
        self.files[name] = _spoiled(whole, hurt[0] or lines[:7])
        if kind == "copy":
            self._part(random, whole)
        for number, wounds in enumerate(hurt[1:]):
            # The recorder swapped one out to its cache when it ran out of room.
            place = f"cache/swap-{random.randrange(10, 100)}" if number == 0 else ""
            self._part(random, _spoiled(whole, wounds), place=place)
        # Sound by its own checksum, and of no use.
        self._part(random, _segment(int(name[-3:]), _corrected(whole, random), revision=2))

    def _part(self, random: Random, data: bytes, *, place: str = "") -> None:
        while not place or place in self.files:
            place = f"tmp/upload-{random.randrange(1 << 16):04x}.part"
        self.files[place] = data


def _records(number: int) -> list[bytes]:
    return [
        _line(f"2031-04-{1 + number:02}T{2 * hour:02} s{hour % 2} {secrets.randbelow(10**8):08}")
        for hour in range(RECORDS)
    ]


def _line(text: str) -> bytes:
    return f"{text} {crc32(text.encode()) & 0xFFFF:04x}\n".encode()


def _segment(number: int, records: Sequence[bytes], *, revision: int) -> bytes:
    body = b"".join(records)
    head = f"segment {number:03} rev {revision} records {len(records)} crc {crc32(body):08x}\n"
    return head.encode() + body


def _body(segment: bytes) -> bytes:
    return segment.partition(b"\n")[2]


def _spoiled(segment: bytes, lines: Sequence[int]) -> bytes:
    head, *records = segment.splitlines(keepends=True)
    for line in lines:
        keep = 11
        records[line] = records[line][:keep].ljust(len(records[line]) - 1, b"#") + b"\n"
    return b"".join([head, *records])


def _corrected(segment: bytes, random: Random) -> list[bytes]:
    """Return the records as an older revision had them, some of them otherwise."""
    records = segment.splitlines(keepends=True)[1:]
    for line in random.sample(range(RECORDS), 5):
        head = records[line].decode().split()
        records[line] = _line(f"{head[0]} {head[1]} {secrets.randbelow(10**8):08}")
    return records
