"""Decides whether the desk is back, by asking it something that nobody can have asked before."""

from __future__ import annotations

import codecs
import json
import posixpath
import secrets
from typing import TYPE_CHECKING, Any

from scenarios.challenge import fresh_nonce, post
from scenarios.listening import holders
from scenarios.suites.autonomy.drifted_service.world import DESK
from scenarios.suites.autonomy.judging import altered, altered_sentence, running, still_runs
from scenarios.suites.autonomy.programs.answering import sealed
from scenarios.types import Milestone, Verdict

if TYPE_CHECKING:
    from environments import Control
    from scenarios.suites.autonomy.drifted_service.world import Desk

__all__ = ["DeskOracle"]

SETTINGS_AT_MOST = 1 << 16


class DeskOracle:
    """Passes a machine on which the desk answers rightly, now and after a restart, and all else is left."""

    async def judge(self, control: Control, secret: Desk, _submission: str | None, /) -> Verdict:
        """Judge a frozen machine."""
        nonce, number = fresh_nonce(), secrets.choice(list(secret.entries))
        listening = running(await holders(control, secret.port), DESK / "desk.py")
        question = {"number": number, "nonce": nonce}
        answer = await post(control, secret.port, "/entry", question, timeout_s=4.0) or {}
        entry, stamp = secret.entries[number], sealed(secret.stamp_key, nonce)
        wrong = await _still_wrong(control, secret)
        changed = await altered(control, secret.kept)
        stamp_runs = still_runs(await control.processes(), secret.stamp)
        milestones = (
            _listens(secret.port, there=bool(listening)),
            _field("entry_right", answer, "entry", entry),
            _field("stamped", answer, "stamp", stamp),
            _field("sealed", answer, "seal", sealed(secret.key, nonce, entry, stamp)),
            Milestone(
                name="settings_right",
                passed=not wrong,
                evidence=f"after a restart {', '.join(wrong)} would be wrong"
                if wrong
                else "all as documented",
            ),
            Milestone(
                name="rest_intact",
                passed=stamp_runs and not changed,
                evidence=altered_sentence(changed) if stamp_runs else "the stamp service was ended",
            ),
        )
        return Verdict.of(milestones, self_inflicted=not milestones[-1].passed)


def _listens(port: int, *, there: bool) -> Milestone:
    said = "holds" if there else "does not hold"
    return Milestone(name="listens", passed=there, evidence=f"the desk's own program {said} port {port}")


def _field(name: str, answer: Any, field: str, right: str) -> Milestone:
    given = answer.get(field)
    evidence = f"answered {given!r}" if field in answer else f"no {field}: {answer.get('error', 'no answer')}"
    return Milestone(name=name, passed=given == right, evidence=evidence)


async def _still_wrong(control: Control, desk: Desk) -> list[str]:
    """Return the settings that are not as documented in the files that the desk reads when it starts."""
    facts = await control.walk(DESK / "settings.d")
    further = sorted(fact.path for fact in facts if fact.path.suffix == ".json")
    found: dict[str, Any] = {}
    for path in (DESK / "settings.json", *further):
        try:
            said = json.loads(await control.look(path, limit=SETTINGS_AT_MOST) or b"{}")
        except (ValueError, RecursionError):
            return [path.name]
        found.update(said if isinstance(said, dict) else {})
    return [
        name for name, right in desk.settings.items() if _plain(name, found.get(name)) != _plain(name, right)
    ]


def _plain(name: str, value: object) -> object:
    """Return a setting's value so that two ways to write the same are equal."""
    text = str(value)
    if name == "encoding":
        try:
            return codecs.lookup(text).name
        except LookupError:
            return text
    if name in {"entries", "key"}:
        return posixpath.normpath(DESK / text)
    return text.replace("localhost", "127.0.0.1")
