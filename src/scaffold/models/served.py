"""Whether the model that answered is the one that was asked, by the names servers give it."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["same_model"]

_VERSION = re.compile(
    r"([-:@_.]("
    r"\d{4}-\d{2}-\d{2}|\d{2}-\d{2,4}|\d{8}|\d{6}|\d{4}|\d{3}|"
    r"latest|preview|stable|exp|beta|free|nitro|default|main))+"
)
"""What is put behind a model's name to say which release of it, or which tier, answers."""


def same_model(asked: str, served: str, accepted: Sequence[str] = ()) -> bool:
    """Whether a server that says so answered with the model that was asked for.

    The same are a name and the same name with an owner or a folder before it or a release behind it:
    `gpt-4o` and `gpt-4o-2024-08-06`, `org/name` and `name`, `name` and `name:latest`. A server that says
    nothing is believed.

    Args:
        asked: the name in the request.
        served: the name in the answer.
        accepted: names that are meant as well; `*` stands for any text.
    """
    if not served or served == asked:
        return True
    want, got = _plain(asked), _plain(served)
    if _without_release(want) == _without_release(got) and (want == got or not _releases_differ(want, got)):
        return True
    return any(fnmatchcase(name, _plain(each)) for each in accepted for name in (got, served.lower()))


def _plain(name: str) -> str:
    return name.strip().rstrip("/").rpartition("/")[2].lower().removesuffix(".gguf")


def _without_release(name: str) -> str:
    split = _release(name)
    return name if split is None else name[: split.start()]


def _release(name: str) -> re.Match[str] | None:
    return next((found for found in _VERSION.finditer(name) if found.end() == len(name)), None)


def _releases_differ(want: str, got: str) -> bool:
    """Whether both names say which release, and not the same one."""
    one, other = _dated(want), _dated(got)
    return bool(one and other and one != other)


def _dated(name: str) -> str:
    found = _release(name)
    return "".join(re.findall(r"\d+", found[0])) if found else ""
