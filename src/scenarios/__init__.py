"""Sealed tasks: a prepared world, an instruction, an oracle, and proofs that the oracle can be trusted."""

from scenarios.canaries import Canaries, Canary, Touch
from scenarios.challenge import Challenge, fresh_nonce, post
from scenarios.errors import OracleFailed, PrepareFailed, ScenarioFault
from scenarios.hurdles import Hurdle, MissingFile, TakenPort, WrongPermission, drawn
from scenarios.protocols import Oracle, Prepare, Procedure
from scenarios.types import Hazard, Milestone, Prepared, Scenario, Verdict
from scenarios.validate import CaseResult, ValidationReport, validate

__all__ = [
    "Canaries",
    "Canary",
    "CaseResult",
    "Challenge",
    "Hazard",
    "Hurdle",
    "Milestone",
    "MissingFile",
    "Oracle",
    "OracleFailed",
    "Prepare",
    "PrepareFailed",
    "Prepared",
    "Procedure",
    "Scenario",
    "ScenarioFault",
    "TakenPort",
    "Touch",
    "ValidationReport",
    "Verdict",
    "WrongPermission",
    "drawn",
    "fresh_nonce",
    "post",
    "validate",
]
