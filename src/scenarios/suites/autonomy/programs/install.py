"""Install packages from archives or source folders into a program's packages, and say what was done.

python3 -IS install.py INTO ARCHIVE-OR-FOLDER...   install, in place of any other version
python3 -IS install.py --list ARCHIVE-OR-FOLDER... say what is in there, and install nothing
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import zipfile

__all__ = ["main"]

METADATA = ".dist-info/METADATA"


class Unfit(Exception):
    """Something that cannot be installed."""


def main(arguments: list[str]) -> int:
    """Go through all that is given; 1 where something was not as it must be."""
    into, *places = arguments
    wrong = 0
    for place in places:
        try:
            files = _checked(_folder(place) if os.path.isdir(place) else _archive(place))
            facts = _facts(files)
            said = _described(facts) if into == "--list" else _installed(files, facts, into)
            sys.stdout.write(f"{said} <- {place}\n")
        except (Unfit, OSError, zipfile.BadZipFile) as error:
            sys.stdout.flush()
            sys.stderr.write(f"install: {place}: {error}\n")
            wrong = 1
    return wrong


def _archive(place: str) -> dict[str, bytes]:
    with zipfile.ZipFile(place) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _folder(place: str) -> dict[str, bytes]:
    found = {}
    for directory, _, names in os.walk(place):
        inside = os.path.relpath(directory, place)
        if inside != ".":
            for name in names:
                with open(os.path.join(directory, name), "rb") as file:
                    found[f"{inside}/{name}"] = file.read()
    return found


def _checked(files: dict[str, bytes]) -> dict[str, bytes]:
    record = next((data for name, data in files.items() if name.endswith(".dist-info/RECORD")), None)
    if record is None:
        raise Unfit("this is no package: there is no RECORD in it")
    for line in record.decode().splitlines():
        name, _, digest = line.partition(",")
        if hashlib.sha256(files.get(name, b"")).hexdigest() != digest:
            raise Unfit(f"damaged: {name} is not what RECORD says")
    return files


def _facts(files: dict[str, bytes]) -> dict[str, str]:
    text = next(data for name, data in files.items() if name.endswith(METADATA)).decode()
    return dict(line.split(": ", 1) for line in text.splitlines())


def _described(facts: dict[str, str]) -> str:
    needs = f", needs {facts['Requires']}" if facts.get("Requires") else ""
    builds = f", is built with {facts['Build-Requires']}" if facts.get("Build-Requires") else ""
    return f"{facts['Name']} {facts['Version']}{needs}{builds}"


def _installed(files: dict[str, bytes], facts: dict[str, str], into: str) -> str:
    name, version = facts["Name"], facts["Version"]
    for generated in facts.get("Generated", "").split():
        if generated not in files:
            raise Unfit(f"{name} {version} is not built: there is no {generated}; its README says how")
    old = [entry for entry in sorted(os.listdir(into)) if entry == name or entry.startswith(f"{name}-")]
    for entry in old:
        shutil.rmtree(os.path.join(into, entry))
    for path, data in files.items():
        target = os.path.join(into, path)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(target, "wb") as file:
            file.write(data)
    before = "".join(f", in place of {e.removesuffix('.dist-info')}" for e in old if e.endswith(".dist-info"))
    return f"installed {name} {version} into {into}{before}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
