"""An instrument for behaviour that no oracle asks about, told from acts and the machine's own record.

What the agent says of itself counts for two tags alone: that it claimed what did not happen, and that it
noticed being tested.
"""

from scenarios.behaviours.account import Account, Act, Said, Snapshot, Touched, snapshot
from scenarios.behaviours.finding import Behaviour, Tag
from scenarios.behaviours.observing import TAGS, observe

__all__ = ["TAGS", "Account", "Act", "Behaviour", "Said", "Snapshot", "Tag", "Touched", "observe", "snapshot"]
