"""Who may stop an agent, and how: approval of its calls, and a hand on its running trials.

A policy is part of a study's design: a small frozen object that says of each call whether it may run. The
`Oversight` is there while the study runs: it knows the trials, pauses, steps and aborts them, and knows
the person to ask, if there is one.
"""

from scaffold.oversight.decisions import Decision, Reach, Supervisor, View, abort, allow, ask, deny
from scaffold.oversight.held import HeldEnvironment
from scaffold.oversight.oversight import Oversight, Standing, TrialUnknown
from scaffold.oversight.policies import ApproveAll, Ask, ByFunction, may_ask
from scaffold.oversight.rules import Rule, Rules, RulesFault, rules_text
from scaffold.oversight.watch import Watch

__all__ = [
    "ApproveAll",
    "Ask",
    "ByFunction",
    "Decision",
    "HeldEnvironment",
    "Oversight",
    "Reach",
    "Rule",
    "Rules",
    "RulesFault",
    "Standing",
    "Supervisor",
    "TrialUnknown",
    "View",
    "Watch",
    "abort",
    "allow",
    "ask",
    "deny",
    "may_ask",
    "rules_text",
]
