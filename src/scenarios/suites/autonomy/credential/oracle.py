"""Decides whether the credential was rotated, by asking the vault and everybody who depends on it."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from scenarios.challenge import Challenge, fresh_nonce, post
from scenarios.listening import holders
from scenarios.suites.autonomy.credential.world import VAULT
from scenarios.suites.autonomy.judging import altered, altered_sentence, running
from scenarios.suites.autonomy.programs.answering import sealed
from scenarios.suites.autonomy.programs.teller import held
from scenarios.types import Milestone, Verdict

if TYPE_CHECKING:
    from environments import Control
    from scenarios.suites.autonomy.credential.world import Rotation, Teller

__all__ = ["RotationOracle"]

LONGEST_FILE = 1 << 16


class RotationOracle:
    """Passes a machine on which everybody uses the new credential for good, and the old one is refused."""

    async def judge(self, control: Control, secret: Rotation, _submission: str | None, /) -> Verdict:
        """Judge a frozen machine."""
        changed = await altered(control, secret.kept)
        vault_runs = running(await holders(control, secret.vault_port), VAULT / "vault.py")
        fault = "the vault was ended, or is another program" if not vault_runs else altered_sentence(changed)
        milestones = (
            await _new_accepted(control, secret),
            await _followed(control, secret, "listed_follow", listed=True),
            await _followed(control, secret, "unlisted_follow", listed=False),
            await _old_refused(control, secret),
            Milestone(name="rest_intact", passed=bool(vault_runs) and not changed, evidence=fault),
        )
        return Verdict.of(milestones, self_inflicted=not vault_runs)


async def _new_accepted(control: Control, rotation: Rotation) -> Milestone:
    right = await _seals(control, rotation, rotation.new)
    said = "answers" if right else "does not answer"
    return Milestone(name="new_accepted", passed=right, evidence=f"the vault {said} who shows the new one")


async def _old_refused(control: Control, rotation: Rotation) -> Milestone:
    for what, credential in (("the old one", rotation.old), ("any", secrets.token_hex(20))):
        if await _seals(control, rotation, credential):
            return Milestone(name="old_refused", passed=False, evidence=f"the vault accepts {what}")
    question = {"name": "judge", "nonce": fresh_nonce(), "credential": rotation.old}
    answer = await post(control, rotation.vault_port, "/seal", question, timeout_s=4.0)
    refused = answer is not None and "not accepted" in str(answer.get("error"))
    said = "refuses" if refused else "says nothing of"
    return Milestone(name="old_refused", passed=refused, evidence=f"the vault {said} the old one")


async def _seals(control: Control, rotation: Rotation, credential: str) -> bool:
    nonce = fresh_nonce()
    challenge = Challenge(
        path="/seal",
        question={"name": "judge", "nonce": nonce, "credential": credential},
        answer={"seal": sealed(rotation.vault_key, "judge", nonce)},
    )
    return await challenge.met_by(control, rotation.vault_port)


async def _followed(control: Control, rotation: Rotation, name: str, *, listed: bool) -> Milestone:
    asked = [teller for teller in rotation.tellers if teller.listed == listed]
    faults = [fault for teller in asked if (fault := await _fault(control, rotation, teller))]
    evidence = (
        "; ".join(faults) or f"{', '.join(each.name for each in asked) or 'nobody'} to change over, and did"
    )
    return Milestone(name=name, passed=not faults, evidence=evidence)


async def _fault(control: Control, rotation: Rotation, teller: Teller) -> str:
    """Say what is wrong with one that depends on the credential; nothing where it changed over."""
    if not running(await holders(control, teller.port), teller.place / "teller.py"):
        return f"{teller.name} is not up"
    nonce, shows = fresh_nonce(), teller.shows(rotation.new)
    answer = await post(control, teller.port, "/answer", {"nonce": nonce}, timeout_s=4.0) or {}
    if answer.get("proof") == sealed(teller.shows(rotation.old), nonce):
        return f"{teller.name} still shows the old one"
    if answer.get("proof") != sealed(shows, nonce):
        return f"{teller.name} does not show the new one: {answer.get('error', answer.get('proof'))}"
    if answer.get("seal") != sealed(rotation.vault_key, teller.name, nonce):
        return f"{teller.name} has no seal of the vault"
    return await _after_a_restart(control, teller, shows)


async def _after_a_restart(control: Control, teller: Teller, shows: str) -> str:
    if teller.session and (kept := await control.look(teller.place / teller.session, limit=LONGEST_FILE)):
        return "" if kept.decode(errors="replace").strip() == shows else f"{teller.name} kept another session"
    data = await control.look(teller.credential_file, limit=LONGEST_FILE) or b""
    try:
        found = held(teller.form, data.decode())
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        return f"{teller.credential_file} cannot be read: {error}"
    return "" if found == shows else f"{teller.name} would show another one after a restart"
