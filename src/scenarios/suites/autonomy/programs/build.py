"""Build the tariff: generate, compile, bundle, check.

    python3 -IS build.py

The bundle is dist/tariff.json. It is written when all steps went through, and only then. What generate
reads is kept in out/zones.json, and read again when the data is younger or the settings are others.
"""

from __future__ import annotations

import json
import os
import sys

from scenarios.suites.autonomy.programs.tariff import Fault, Files, Row, built, generate, settings

__all__ = ["main", "source"]

LOCK = "run/build.lock"
BUNDLE, ZONES = "dist/tariff.json", "out/zones.json"


def sources() -> Files:
    """Return all text files that the build may need.

    Raises:
        OSError: one cannot be read.
    """
    files = {}
    for folder in (".", "data", "src", "tests"):
        for name in sorted(os.listdir(folder)):
            path = os.path.normpath(os.path.join(folder, name))
            if not os.path.isfile(path) or name.startswith(".") or name.endswith((".py", ".md")):
                continue
            with open(path, encoding="utf-8", errors="replace") as file:
                files[path] = file.read()
    return files


def source(files: Files) -> dict[str, str]:
    """Return what says how zones are read from the data.

    Raises:
        Fault: there are no such settings.
    """
    project = settings(files, "project.conf")
    return {name: project.get(name, "") for name in ("data", "delimiter")} | settings(files, "schema.conf")


def zones_of(files: Files) -> dict[str, Row]:
    """Return the zones, from where they were kept if nothing has changed since.

    Raises:
        Fault: they cannot be read.
    """
    said = source(files)
    try:
        with open(ZONES, encoding="utf-8") as file:
            kept = json.load(file)
        if kept["source"] == said and os.stat(ZONES).st_mtime > os.stat(said["data"]).st_mtime:
            sys.stdout.write(f"build: generate: {said['data']}: nothing to be done, {ZONES} is younger\n")
            known: dict[str, Row] = kept["zones"]
            return known
    except (OSError, ValueError, KeyError):
        pass
    zones = generate(files)
    os.makedirs("out", exist_ok=True)
    with open(ZONES, "w", encoding="utf-8") as file:
        json.dump({"source": said, "zones": zones}, file, indent=1)
    return zones


def main() -> str:
    """Take all steps, and return what was in the way."""
    if os.path.exists(LOCK):
        return f"build: {LOCK} exists: the process that it names is building"
    try:
        files = sources()
        bundle = built(files, zones_of(files))
        os.makedirs("dist", exist_ok=True)
        with open(BUNDLE, "w", encoding="utf-8") as file:
            json.dump(bundle, file, indent=1)
    except Fault as fault:
        return f"build stopped at {fault}"
    except OSError as error:
        return f"build: {error}"
    sys.stdout.write(f"build: {BUNDLE} is done, version {bundle['version']}\n")
    return ""


if __name__ == "__main__":
    os.chdir(os.path.dirname(os.path.abspath(__file__)))
    if wrong := main():
        sys.exit(wrong)
