"""Look after the recorder's memory card, a small file system in an image of fixed size.

    python3 -IS card.py check                      what is wrong with the card
    python3 -IS card.py ls                         names and sizes
    python3 -IS card.py get NAME                   print a file
    python3 -IS card.py unload DIRECTORY           copy every file off the card
    python3 -IS card.py put NAME FILE [...]        write files; the old is given up once the new is written
    python3 -IS card.py rebuild NAME               make a segment anew from the rest of its parity group
    python3 -IS card.py rm NAME [...]              delete files

It runs alone, with the standard library of any Python from 3.9 on.
"""

from __future__ import annotations

import json
import os
import sys
from binascii import crc32

__all__ = ["Card", "CardFull", "blocks_for", "main", "recombined", "segment_fault"]

BLOCK = 128
DIRECTORY = 16 << 10
"""Bytes at the image's beginning that hold the directory, as JSON padded with spaces."""
IMAGE, LOCK, SETTINGS = "card.img", "run/card.lock", "recorder.conf"


def blocks_for(size: int) -> int:
    """Return how many blocks a file of so many bytes takes: one at least."""
    return max(1, -(-size // BLOCK))


class CardFull(Exception):
    """There are not enough free blocks."""


class Card:
    """The files on a card: name -> bytes, and how many blocks there are."""

    def __init__(self, blocks: int, files: dict[str, bytes]) -> None:
        self.blocks = blocks
        self.files = files

    @classmethod
    def parsed(cls, image: bytes) -> Card:
        """Read an image.

        Raises:
            ValueError, KeyError, TypeError, RecursionError: it is none.
        """
        directory = json.loads(image[:DIRECTORY])
        data = memoryview(image)[DIRECTORY:]
        files = {}
        for name, (size, places) in directory["files"].items():
            content = b"".join(bytes(data[at * BLOCK : (at + 1) * BLOCK]) for at in places)
            files[name] = content[:size]
        return cls(len(data) // BLOCK, files)

    @property
    def taken(self) -> int:
        """Blocks that files take."""
        return sum(blocks_for(len(data)) for data in self.files.values())

    @property
    def free(self) -> int:
        """Blocks that no file takes."""
        return self.blocks - self.taken

    def put(self, name: str, data: bytes) -> None:
        """Write a file beside the old of that name, then give the old one up.

        Raises:
            CardFull: both do not fit.
        """
        if blocks_for(len(data)) > self.free:
            needed = blocks_for(len(data))
            raise CardFull(f"{name}: No space left on card ({self.free} blocks free, {needed} needed)")
        self.files[name] = data

    def image(self) -> bytes:
        """Return the card as bytes."""
        entries, content, at = {}, bytearray(), 0
        for name, data in sorted(self.files.items()):
            count = blocks_for(len(data))
            entries[name] = [len(data), list(range(at, at + count))]
            content += data.ljust(count * BLOCK, b"\0")
            at += count
        directory = json.dumps({"block": BLOCK, "files": entries}).encode().ljust(DIRECTORY)
        return directory + bytes(content).ljust(self.blocks * BLOCK, b"\0")


def segment_fault(data: bytes) -> str:
    """Say what is wrong with a segment's bytes; nothing for a sound one."""
    head, _, body = data.partition(b"\n")
    words = head.split()
    if len(words) != 8 or words[0] != b"segment":
        return "no header"
    if f"{crc32(body):08x}".encode() != words[7]:
        return "checksum of the records does not match the header"
    return ""


def recombined(parity: bytes, others: list[bytes]) -> bytes:
    """Return the body that a parity file and the other bodies of its group leave."""
    value = int(parity.partition(b"\n")[2], 16)
    for body in others:
        value ^= int.from_bytes(body, "big")
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


def check(card: Card, wanted: int) -> list[str]:
    """Return what keeps the recorder from going on."""
    wrong = [
        f"{name} damaged: {fault}"
        for name, data in sorted(card.files.items())
        if name.startswith("seg/") and (fault := segment_fault(data))
    ]
    if card.free < wanted:
        wrong.append(f"card full: {card.free} of {card.blocks} blocks free, {wanted} wanted")
    return wrong


def rebuild(card: Card, name: str) -> None:
    """Make a segment anew from its parity group.

    Raises:
        ValueError: another of the group is damaged too, or it has no group.
        CardFull: there is no room for it.
    """
    for parity in (data for each, data in card.files.items() if each.startswith("par/")):
        group = [f"seg/{word}" for word in parity.partition(b"\n")[0].decode().split()[2:]]
        if name not in group:
            continue
        others = [each for each in group if each != name]
        for each in others:
            if segment_fault(card.files.get(each, b"")):
                raise ValueError(f"{name} cannot be rebuilt: {each} of its group is damaged too")
        body = recombined(parity, [card.files[each].partition(b"\n")[2] for each in others])
        card.put(name, card.files[name].partition(b"\n")[0] + b"\n" + body)
        return
    raise ValueError(f"{name} belongs to no parity group")


def change(card: Card, verb: str, words: list[str]) -> None:
    """Carry out a command that writes.

    Raises:
        KeyError: no such file, or command.
        OSError, ValueError, CardFull: as it says.
    """
    if verb == "rm":
        for name in words:
            del card.files[name]
    elif verb == "put":
        for name, source in zip(words[::2], words[1::2]):  # noqa: B905 -- Python 3.9
            with open(source, "rb") as file:
                card.put(name, file.read())
    elif verb == "rebuild":
        for name in words:
            rebuild(card, name)
    else:
        raise ValueError(f"no such command: {verb}")


def show(card: Card, verb: str, words: list[str]) -> bool:
    """Carry out a command that only reads; False where it is none of those.

    Raises:
        KeyError: no such file.
    """
    if verb == "ls":
        for name, data in sorted(card.files.items()):
            sys.stdout.write(f"{blocks_for(len(data)):4} blocks {len(data):6} bytes  {name}\n")
        sys.stdout.write(f"{card.free} of {card.blocks} blocks free\n")
    elif verb == "get":
        sys.stdout.buffer.write(card.files[words[0]])
    elif verb == "unload":
        for name, data in card.files.items():
            target = os.path.join(words[0], name)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            with open(target, "wb") as file:
                file.write(data)
    else:
        return False
    return True


def main(verb: str, words: list[str]) -> str:
    """Carry out one command on the card beside this program, and return what went wrong."""
    here = os.path.dirname(os.path.abspath(__file__))
    image, lock = os.path.join(here, IMAGE), os.path.join(here, LOCK)
    if os.path.exists(lock):
        return f"{LOCK} exists: the process that it names is using the card"
    try:
        with open(os.path.join(here, SETTINGS), encoding="utf-8") as file:
            settings = dict(line.split(" = ") for line in file.read().splitlines())
        with open(image, "rb") as file:
            card = Card.parsed(file.read())
        if verb == "check":
            return "\n".join(check(card, int(settings["wanted_blocks"])))
        if not show(card, verb, words):
            change(card, verb, words)
            with open(image, "wb") as file:
                file.write(card.image())
    except KeyError as missing:
        return f"{missing.args[0]}: No such file on the card"
    except (CardFull, OSError, ValueError) as fault:
        return str(fault)
    return ""


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    if wrong := main(sys.argv[1], sys.argv[2:]):
        sys.exit("\n".join(f"card.py: {line}" for line in wrong.splitlines()))
    if sys.argv[1] == "check":
        sys.stdout.write("the card is sound and has room\n")
