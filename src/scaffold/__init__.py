"""The agent: the loop, its faculties, its tools and the subjects it is driven by."""

from scaffold.baselines import Nothing, Reference
from scaffold.budget import Meter
from scaffold.context import Context
from scaffold.conversation import Conversation
from scaffold.errors import BudgetSpent, ContextFull, ModelFailed, ScaffoldFault, ScaffoldStuck
from scaffold.faculties import Execute, Explore, Plan, Repair
from scaffold.graph import FacultyScaffold, GraphScaffold, react, start_state
from scaffold.prompts import Prompt
from scaffold.protocols import Faculty, Model, Scaffold, Subject, Tool
from scaffold.tools import DEFAULT_TOOLS, FunctionTool
from scaffold.types import (
    Budget,
    Episode,
    FacultyUse,
    Reply,
    State,
    ToolCall,
    ToolOutcome,
    Update,
    Usage,
)

__all__ = [
    "DEFAULT_TOOLS",
    "Budget",
    "BudgetSpent",
    "Context",
    "ContextFull",
    "Conversation",
    "Episode",
    "Execute",
    "Explore",
    "Faculty",
    "FacultyScaffold",
    "FacultyUse",
    "FunctionTool",
    "GraphScaffold",
    "Meter",
    "Model",
    "ModelFailed",
    "Nothing",
    "Plan",
    "Prompt",
    "Reference",
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
