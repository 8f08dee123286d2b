"""Where redline keeps what outlasts a run."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["cache"]


def cache() -> Path:
    """Return the user's cache folder of redline."""
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "redline"
