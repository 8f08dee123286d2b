"""The agent: the loop, its faculties, its tools and the subjects it is driven by."""

from scaffold.baselines import Nothing, Reference
from scaffold.broker import Broker, Key, Lineage, Pace
from scaffold.budget import Meter
from scaffold.context import Context
from scaffold.conversation import Conversation
from scaffold.errors import (
    BudgetSpent,
    ContextFull,
    DescentRefused,
    KeyRevoked,
    ModelFailed,
    ScaffoldFault,
    ScaffoldStuck,
)
from scaffold.faculties import Execute, Explore, Plan, Repair
from scaffold.graph import FacultyScaffold, GraphScaffold, react, start_state
from scaffold.inside import InsideAgent
from scaffold.prompts import Prompt
from scaffold.protocols import Faculty, Model, RelayingModel, Scaffold, Subject, Tool
from scaffold.tools import DEFAULT_TOOLS, FunctionTool
from scaffold.types import (
    Budget,
    Episode,
    FacultyUse,
    Relayed,
    Reply,
    State,
    ToolCall,
    ToolOutcome,
    Update,
    Usage,
)

__all__ = [
    "DEFAULT_TOOLS",
    "Broker",
    "Budget",
    "BudgetSpent",
    "Context",
    "ContextFull",
    "Conversation",
    "DescentRefused",
    "Episode",
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
    "Meter",
    "Model",
    "ModelFailed",
    "Nothing",
    "Pace",
    "Plan",
    "Prompt",
    "Reference",
    "Relayed",
    "RelayingModel",
    "Repair",
    "Reply",
    "Scaffold",
    "ScaffoldFault",
    "ScaffoldStuck",
    "State",
    "Subject",
    "Tool",
    "ToolCall",
    "ToolOutcome",
    "Update",
    "Usage",
    "react",
    "start_state",
]
