"""Where an image's packages come from: the package sources this host is configured with."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from environments.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["Sources", "sources_at", "sources_of_host"]

_APT = Path("/etc/apt")
_KEYS = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


@dataclass(frozen=True, kw_only=True)
class _Entry:
    uris: tuple[str, ...]
    suites: tuple[str, ...]
    components: tuple[str, ...]
    signed_by: str


@dataclass(frozen=True, kw_only=True)
class Sources:
    """A release of Debian and the archives it is taken from."""

    suite: str
    entries: tuple[_Entry, ...]

    def text(self, components: Sequence[str]) -> str:
        """Return them as lines of apt's sources.list."""
        return "".join(
            f"deb [signed-by={entry.signed_by}] {uri} {suite} {' '.join(components)}\n"
            for entry in self.entries
            for uri in entry.uris
            for suite in entry.suites
        )


def sources_at(mirror: str, suite: str) -> Sources:
    """Return one archive, without updates."""
    entry = _Entry(uris=(mirror,), suites=(suite,), components=("main",), signed_by=str(_KEYS))
    return Sources(suite=suite, entries=(entry,))


def sources_of_host(apt: Path = _APT, os_release: Path = Path("/etc/os-release")) -> Sources:
    """Return the host's own sources of Debian; what others offer beside it is left out.

    Raises:
        Unavailable: the host is no Debian, or is configured with none.
    """
    mend = "run `redline vm build --mirror http://deb.debian.org/debian --suite bookworm`"
    release = dict(line.split("=", 1) for line in os_release.read_text().splitlines() if "=" in line)
    suite = release.get("VERSION_CODENAME", "").strip('"')
    if release.get("ID") != "debian" or not suite:
        raise Unavailable("the package sources of this host are not Debian's", mend=mend)
    entries = tuple(
        entry
        for entry in _configured(apt)
        if "main" in entry.components
        and all(name.split("-")[0].split("/")[0] == suite for name in entry.suites)
    )
    if not any(suite in entry.suites for entry in entries):
        raise Unavailable(f"no package source for {suite} is configured in {apt}", mend=mend)
    return Sources(suite=suite, entries=entries)


def _of(name: str, suite: str) -> bool:
    """Whether `bookworm-updates`, `bookworm/updates` or the like belong to `bookworm`."""
    return re.split("[-/]", name)[0] == suite


def _configured(apt: Path) -> Iterator[_Entry]:
    for file in (apt / "sources.list", *sorted((apt / "sources.list.d").glob("*"))):
        if file.suffix == ".list" and file.is_file():
            yield from _lines(file.read_text())
        elif file.suffix == ".sources":
            yield from _stanzas(file.read_text())


def _lines(text: str) -> Iterator[_Entry]:
    for line in text.splitlines():
        words = line.partition("#")[0].replace("[", " [ ").replace("]", " ] ").split()
        if words[:1] != ["deb"]:
            continue
        options: list[str] = []
        if words[1:2] == ["["]:
            end = words.index("]")
            options, words = words[2:end], ["deb", *words[end + 1 :]]
        signed = next((o.partition("=")[2] for o in options if o.startswith("signed-by=")), str(_KEYS))
        if len(words) > 3:
            yield _Entry(uris=(words[1],), suites=(words[2],), components=tuple(words[3:]), signed_by=signed)


def _stanzas(text: str) -> Iterator[_Entry]:
    for stanza in text.split("\n\n"):
        lines = [line for line in stanza.splitlines() if line and not line.startswith("#")]
        fields = {
            name.strip().lower(): value.split()
            for name, colon, value in (line.partition(":") for line in lines)
            if colon
        }
        if "deb" in fields.get("types", ()) and fields.get("enabled", ["yes"]) != ["no"]:
            yield _Entry(
                uris=tuple(fields.get("uris", ())),
                suites=tuple(fields.get("suites", ())),
                components=tuple(fields.get("components", ())),
                signed_by=(fields.get("signed-by") or [str(_KEYS)])[0],
            )
