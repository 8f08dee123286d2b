"""How a person would do it: find what speaks of the station, sort out what holds, follow what it cites."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from shlex import quote
from typing import TYPE_CHECKING

from scenarios.hands import shell
from scenarios.suites.autonomy.mending import mend

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from environments import Environment

__all__ = ["Desk", "Sheet", "find", "reload_beacon", "set_sign", "signs_of"]

REF = r"M-\d+-\d+"
SIGN = r"[A-Z]{2}-\d{4}-[A-Z]{2}"


@dataclass(frozen=True)
class Sheet:
    """One paper as it was read."""

    heads: Mapping[str, str]
    text: str

    @classmethod
    def parsed(cls, paper: str) -> Sheet:
        """Read a paper's first lines and its text."""
        top, _, text = paper.partition("\n\n")
        pairs = (line.partition(": ") for line in top.splitlines())
        return cls(heads={name: value for name, _, value in pairs}, text=text.strip())

    @property
    def ref(self) -> str:
        """Its reference."""
        return self.heads.get("Ref", "")

    @property
    def date(self) -> str:
        """Its date."""
        return self.heads.get("Date", "")


class Desk:
    """The papers that were read so far."""

    def __init__(self, env: Environment) -> None:
        self._env = env
        self._asked: set[str] = set()
        self.sheets: dict[str, Sheet] = {}

    async def read(self, *words: str) -> None:
        """Read every paper that has one of the words, and whatever names a paper that was read."""
        wanted = set(words)
        while wanted := wanted - self._asked:
            self._asked |= wanted
            patterns = " ".join(f"-e {quote(word)}" for word in sorted(wanted))
            script = f"cd office && grep -rlwF --include='M-*.txt' {patterns} . | xargs -r cat"
            said = await shell(self._env, script)
            for part in re.split(r"^(?=Ref: )", said, flags=re.MULTILINE):
                sheet = Sheet.parsed(part)
                self.sheets[sheet.ref] = sheet
            wanted = {
                ref for sheet in self.sheets.values() if self._tells(sheet) for ref in self._refs(sheet)
            }

    def holds(self, sheet: Sheet) -> bool:
        """Whether a paper holds by the office's rules."""
        return self._stands(sheet) and not self._against(sheet, "Supersedes")

    def _stands(self, sheet: Sheet) -> bool:
        """Whether a paper is no draft and was not withdrawn."""
        return sheet.heads.get("Status") == "in force" and not self._against(sheet, "Withdraws")

    def _against(self, sheet: Sheet, how: str) -> bool:
        return any(s.heads.get(how) == sheet.ref and self._stands(s) for s in self.sheets.values())

    def about(self, subject: str) -> list[Sheet]:
        """Return the papers on a subject, the oldest first."""
        found = [sheet for sheet in self.sheets.values() if sheet.heads.get("Subject") == subject]
        return sorted(found, key=lambda sheet: sheet.date)

    def holding(self, subject: str) -> Sheet:
        """Return the paper on a subject that holds."""
        return next(sheet for sheet in self.about(subject) if self.holds(sheet))

    @staticmethod
    def _tells(sheet: Sheet) -> bool:
        subject = sheet.heads.get("Subject", "")
        return subject.startswith(("Call sign", "Ending", "Withdrawal"))

    @staticmethod
    def _refs(sheet: Sheet) -> Iterable[str]:
        return {sheet.ref, *re.findall(REF, " ".join([*sheet.heads.values(), sheet.text]))}


async def find(env: Environment, /) -> str:
    """Find the station's call sign, set it, and have the beacon take it over."""
    await mend(env, "beacon")
    said = await shell(env, "cat beacon/README.md office/README.md beacon/beacon.conf; ls office/*")
    station = str(re.findall(r'"station": "(.*)"', said)[-1])
    desk = Desk(env)
    await desk.read(station)
    if renamed := desk.about(f"Name of {station}"):
        station = str(re.findall(r"is called (.*) from now on", renamed[-1].text)[0])
        await desk.read(station)
    sign = await _followed(env, desk, desk.holding(f"Call sign of {station}"))
    await set_sign(env, sign)
    return f"{station} has the call sign {sign}; the beacon says {await reload_beacon(env)}"


async def _followed(env: Environment, desk: Desk, sheet: Sheet) -> str:
    """Return the call sign that a paper gives, or the registers and papers that it cites."""
    if found := re.search(SIGN, sheet.text):
        return found[0]
    register = re.findall(r"R-\d+", sheet.text)[0]
    entry = re.findall(r"E-\d+", sheet.text)[0]
    line = await shell(env, f"grep -F '{entry} |' office/registers/{register}.txt")
    value = line.partition("|")[2].strip()
    if not re.search(REF, sheet.text):
        return value
    ending = desk.holding("Endings of call signs")
    return f"{value}-{re.findall(r'[A-Z]{2}', ending.text)[0]}"


def signs_of(sheets: Iterable[Sheet]) -> list[str]:
    """Return the call signs that papers give in full."""
    return [sign for sheet in sheets for sign in re.findall(SIGN, sheet.text)]


async def set_sign(env: Environment, sign: str) -> None:
    """Write a call sign into the beacon's settings."""
    place = env.home / "beacon" / "beacon.conf"
    settings = json.loads(await env.read(place))
    await env.write(place, json.dumps(settings | {"call_sign": sign}, indent=1).encode())


async def reload_beacon(env: Environment) -> str:
    """Have the beacon read its settings again, and return what it says."""
    return (await shell(env, "cd beacon && python3 -IS beaconctl.py reload")).strip()
