"""Why an episode can end other than by the agent's own decision.

ScaffoldFault
├── BudgetSpent      a limit was reached; `limit` names it
│   └── PurseEmpty   one that many trials share: the attempt counts for nothing, and is run again
├── ModelFailed      the subject's server gave no usable answer; the trial is void
│   ├── AnotherModel another model than the one that was asked has answered
│   └── ContextFull  the conversation is longer than the subject can take
├── KeyRevoked       the key to the subject is good no more; `reason` says why
├── DescentRefused   no further loop is attached to a replica; `reason` says why
├── ScaffoldStuck    the scaffold goes round without asking the subject; the trial is void
├── CacheUnusable    the folder for replies cannot be written
├── EpisodeEnded     somebody ended the episode from outside; `stop` says how
├── Unattended       a person is to be asked, and none is there; the trial is void
└── SubjectUnavailable  a subject cannot be had before anything was asked; `mend` says what to do
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scaffold.types import Reply, Stop

__all__ = [
    "AnotherModel",
    "BudgetSpent",
    "CacheUnusable",
    "ContextFull",
    "DescentRefused",
    "EpisodeEnded",
    "KeyRevoked",
    "ModelFailed",
    "PurseEmpty",
    "ScaffoldFault",
    "ScaffoldStuck",
    "SubjectUnavailable",
    "Unattended",
]


class ScaffoldFault(Exception):
    """The episode cannot go on."""


class BudgetSpent(ScaffoldFault):
    """A limit of the trial's budget was reached."""

    def __init__(self, limit: str) -> None:
        super().__init__(f"the trial's {limit} budget is spent")
        self.limit = limit


class PurseEmpty(BudgetSpent):
    """What many trials may spend together is spent. It says nothing about the agent.

    Loops end as they do at any limit; whoever runs the trial leaves the attempt without a result.
    """

    def __init__(self, whose: str, limit: str) -> None:
        super().__init__(f"{whose} {limit}")
        self.args = (f"what {whose} may spend in {limit} is spent",)
        self.whose = whose


class ModelFailed(ScaffoldFault):
    """The subject's server gave no usable answer, however often it was asked."""

    def __init__(self, cause: str, *, attempts: int | None) -> None:
        tried = "" if attempts is None else f" after {attempts} attempt{'s' * (attempts != 1)}"
        super().__init__(f"no usable answer{tried}: {cause}")
        self.cause = cause
        self.attempts = attempts
        """None where the time was up before the last attempt ended."""


class ContextFull(ModelFailed):
    """The server refuses the conversation because it is longer than the subject can take.

    Where the subject has answered before, the context makes a spent budget of it: how long the conversation
    grew is the agent's doing. A first request that does not fit is the doing of whoever set the server up.
    """


class AnotherModel(ModelFailed):
    """Somebody else answered than was asked, by the server's own word."""

    def __init__(self, reply: Reply, *, asked: str) -> None:
        super().__init__(
            f"{reply.served!r} answered where {asked!r} was asked: name the model as its server does, "
            f"or accept the other by served={reply.served!r} (--served)",
            attempts=reply.attempts,
        )
        self.reply = reply
        """Which is paid for all the same."""


class KeyRevoked(ScaffoldFault):
    """The key a call was to be made with is good no more: nothing is asked, no answer is handed on."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the key to the subject was revoked: {reason}")
        self.reason = reason


class DescentRefused(ScaffoldFault):
    """A replica gets no loop: a cap is reached, or what it would descend from has ended."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"no loop for another generation: {reason}")
        self.reason = reason


class ScaffoldStuck(ScaffoldFault):
    """The scaffold's graph goes round without asking the subject: a fault of its code, not of the agent."""


class CacheUnusable(ScaffoldFault):
    """The folder that replies are to be kept in cannot be written. Found before anything is asked."""


class EpisodeEnded(ScaffoldFault):
    """The episode was ended from outside. Scaffolds let it through."""

    def __init__(self, stop: Stop) -> None:
        super().__init__(f"the episode was ended: {stop}")
        self.stop = stop


class Unattended(ScaffoldFault):
    """A policy leaves a call to a person, and there is none."""


class SubjectUnavailable(ScaffoldFault):
    """A subject cannot be had, as the server that redline is to start for it: no trial begins."""

    def __init__(self, reason: str, *, mend: str = "") -> None:
        super().__init__(f"{reason}; {mend}" if mend else reason)
        self.reason = reason
        self.mend = mend
