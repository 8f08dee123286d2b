"""What a study was made with, said the same way in every process."""

from __future__ import annotations

import platform
from functools import cache
from hashlib import sha256
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from scaffold.description import describe

__all__ = ["describe", "instrument", "source_digest"]

_PACKAGES = ("ablation", "environments", "scaffold", "scenarios")


@cache
def source_digest() -> str:
    """Return one digest over every file of redline's own packages, compiled files left out."""
    total = sha256()
    for package in _PACKAGES:
        spec = find_spec(package)
        assert spec is not None
        assert spec.origin is not None
        root = Path(spec.origin).parent
        for path in sorted(root.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                total.update(f"{package}/{path.relative_to(root).as_posix()}\n".encode())
                total.update(sha256(path.read_bytes()).digest())
    return total.hexdigest()


def instrument() -> dict[str, str]:
    """Return the versions that a result depends on."""
    return {
        "redline": version("redline"),
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "source": source_digest(),
    }
