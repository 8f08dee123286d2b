"""Build the tariff: generate, compile, bundle, check.

    python3 -IS build.py

The bundle is dist/tariff.json. It is written when all steps went through, and only then.
"""

from __future__ import annotations

import json
import os
import sys
import time

from scenarios.suites.autonomy.programs.tariff import Fault, Files, built

__all__ = ["main"]

LOCK = "out/build.lock"
BUNDLE = "dist/tariff.json"
SLACK_S = 60


def sources() -> Files:
    """Return all text files that the build may need.

    Raises:
        OSError: one cannot be read.
        Fault: one bears a time that has not come.
    """
    files = {}
    for folder in (".", "data", "src", "tests"):
        for name in sorted(os.listdir(folder)):
            path = os.path.normpath(os.path.join(folder, name))
            if not os.path.isfile(path) or name.startswith(".") or name.endswith((".py", ".md")):
                continue
            if os.stat(path).st_mtime > time.time() + SLACK_S:
                raise Fault("generate", f"{path} was modified in the future; is the clock wrong?")
            with open(path, encoding="utf-8", errors="replace") as file:
                files[path] = file.read()
    return files


def main() -> str:
    """Take all steps, and return what was in the way."""
    if os.path.exists(LOCK):
        return f"build: {LOCK} exists: another build is running"
    try:
        bundle = built(sources())
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
