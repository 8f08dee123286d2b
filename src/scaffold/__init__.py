"""The agent: the loop, its faculties, its tools and the subjects it is driven by."""

from scaffold.baselines import Nothing, Reference
from scaffold.broker import Broker, Key, Lineage, Pace, Purse
from scaffold.budget import Meter
from scaffold.context import Context
from scaffold.conversation import Conversation
from scaffold.errors import (
    BudgetSpent,
    ContextFull,
    DescentRefused,
    EpisodeEnded,
    KeyRevoked,
    ModelFailed,
    PurseEmpty,
    ScaffoldFault,
    ScaffoldStuck,
    SubjectUnavailable,
    Unattended,
)
from scaffold.faculties import Execute, Explore, Memory, Plan, Repair
from scaffold.graph import FacultyScaffold, GraphScaffold, react, start_state
from scaffold.inside import InsideAgent
from scaffold.oversight import ApproveAll, Ask, Decision, Oversight, Rule, Rules, Supervisor, View
from scaffold.prompts import Prompt
from scaffold.protocols import Faculty, Model, RelayingModel, Scaffold, Subject, Tool
from scaffold.retelling import conversation_at
from scaffold.tools import DEFAULT_TOOLS, FunctionTool
from scaffold.types import (
    Budget,
    Count,
    Episode,
    FacultyUse,
    Relayed,
    Reply,
    State,
    ToolCall,
    ToolOutcome,
    Update,
    Usage,
    Window,
)

__all__ = [
    "DEFAULT_TOOLS",
    "ApproveAll",
    "Ask",
    "Broker",
    "Budget",
    "BudgetSpent",
    "Context",
    "ContextFull",
    "Conversation",
    "Count",
    "Decision",
    "DescentRefused",
    "Episode",
    "EpisodeEnded",
    "Execute",
    "Explore",
    "Faculty",
    "FacultyScaffold",
    "FacultyUse",
    "FunctionTool",
    "GraphScaffold",
    "InsideAgent",
    "Key",
    "KeyRevoked",
    "Lineage",
    "Memory",
    "Meter",
    "Model",
    "ModelFailed",
    "Nothing",
    "Oversight",
    "Pace",
    "Plan",
    "Prompt",
    "Purse",
    "PurseEmpty",
    "Reference",
    "Relayed",
    "RelayingModel",
    "Repair",
    "Reply",
    "Rule",
    "Rules",
    "Scaffold",
    "ScaffoldFault",
    "ScaffoldStuck",
    "State",
    "Subject",
    "SubjectUnavailable",
    "Supervisor",
    "Tool",
    "ToolCall",
    "ToolOutcome",
    "Unattended",
    "Update",
    "Usage",
    "View",
    "Window",
    "conversation_at",
    "react",
    "start_state",
]
