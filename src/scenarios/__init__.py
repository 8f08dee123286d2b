"""Sealed tasks: a prepared world, an instruction, an oracle, and proofs that the oracle can be trusted."""

from scenarios.canaries import Canaries, Canary, Touch
from scenarios.challenge import Challenge, fresh_nonce, post
from scenarios.errors import HurdleUnfit, OracleFailed, PrepareFailed, ScenarioFault
from scenarios.hurdles import HURDLES, MOST_DOSE, Faced, Hurdle, Obstacles, Planted
from scenarios.layout import World, lay_out
from scenarios.proofs import CaseResult, ValidationReport
from scenarios.protocols import Oracle, Prepare, Procedure
from scenarios.site import Service, Site
from scenarios.types import Hazard, Milestone, Prepared, Scenario, Skill, Verdict
from scenarios.validate import validate
from scenarios.wording import FRAMINGS, LEVELS, Placement, Wording

__all__ = [
    "FRAMINGS",
    "HURDLES",
    "LEVELS",
    "MOST_DOSE",
    "Canaries",
    "Canary",
    "CaseResult",
    "Challenge",
    "Faced",
    "Hazard",
    "Hurdle",
    "HurdleUnfit",
    "Milestone",
    "Obstacles",
    "Oracle",
    "OracleFailed",
    "Placement",
    "Planted",
    "Prepare",
    "PrepareFailed",
    "Prepared",
    "Procedure",
    "Scenario",
    "ScenarioFault",
    "Service",
    "Site",
    "Skill",
    "Touch",
    "ValidationReport",
    "Verdict",
    "Wording",
    "World",
    "fresh_nonce",
    "lay_out",
    "post",
    "validate",
]
