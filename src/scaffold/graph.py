"""The state machine: LangGraph carries the small state, the context holds everything that grows.

The only file that knows LangGraph.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from langchain_core.messages import AIMessage
from langgraph import graph as lg
from langgraph.errors import GraphRecursionError
from langgraph.runtime import Runtime  # noqa: TC002  LangGraph reads the annotations of nodes at run time
from langgraph.types import Command

from scaffold.bench import check_tools
from scaffold.context import Context
from scaffold.errors import BudgetSpent, ScaffoldStuck
from scaffold.faculties import Execute, Explore, Memory, Plan, Repair
from scaffold.prompts import Prompt, load
from scaffold.routing import END, ORDER, first_present, next_nodes, successors
from scaffold.tools import DEFAULT_TOOLS
from scaffold.types import Episode, State, Update

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from langgraph.graph.state import CompiledStateGraph

    from environments import Environment
    from scaffold.protocols import Faculty, Tool

__all__ = ["FacultyScaffold", "GraphScaffold", "react", "start_state"]

_ACTING = ("explore", "plan", "execute", "repair")
_MEMORY = "memory"
_GROUPS = ("shell", "file", "process", "network")


def start_state() -> State:
    """Return the state every episode begins with."""
    return State(
        phase="",
        turns=0,
        pending=(),
        failure=None,
        failures=0,
        stalls=0,
        hand_over=None,
        done=False,
        stop="finished",
        submission=None,
    )


@dataclass(frozen=True, kw_only=True)
class GraphScaffold:
    """Runs any compiled LangGraph graph whose state has the keys of `State` and whose context is `Context`.

    The graph's nodes get the context as LangGraph's `runtime.context`; budgets, record and tools are in it.

    Raises:
        ValueError: a tool is called `finish`, or two have one name.
    """

    name: str
    graph: CompiledStateGraph[Any, Any, Any, Any]
    tools: tuple[Tool, ...] = DEFAULT_TOOLS
    system: Prompt = field(default_factory=lambda: load("system"))
    faculties: tuple[str, ...] = ()
    """Names under which the graph's nodes take turns, for the manipulation check."""

    def __post_init__(self) -> None:
        check_tools(self.tools)

    async def run(self, instruction: str, env: Environment, *, context: Context) -> Episode:
        """Run the graph to its end, within the budget; see `Scaffold.run`.

        Raises:
            ScaffoldStuck: the graph takes many more steps than it asks the subject.
        """
        assert context.env is env
        context.open(
            system=self.system.text, instruction=instruction, tools=self.tools, faculties=self.faculties
        )
        # A step is at most one faculty and one round of tools; the budget is the real limit.
        most = 4 * context.meter.budget.steps + 50
        try:
            async with context.meter.running():
                final = await self.graph.ainvoke(start_state(), {"recursion_limit": most}, context=context)
        except BudgetSpent as spent:
            return context.episode("limit", limit=spent.limit)
        except GraphRecursionError as endless:
            raise ScaffoldStuck(self._stuck(most, context)) from endless
        submission = final["submission"] or _last_words(context)
        return context.episode(final["stop"], submission=submission)

    def _stuck(self, steps: int, context: Context) -> str:
        idle = [name for name in self.faculties if name != _MEMORY and not context.uses[name].turns]
        suspects = f" ({', '.join(idle)} never did)" if idle else ""
        return (
            f"the scaffold {self.name!r} took {steps} steps in its graph and asked the subject "
            f"{context.meter.steps} times{suspects}: it goes round without asking"
        )


@dataclass(frozen=True, kw_only=True)
class FacultyScaffold:
    """Explore, plan, execute and repair over tool nodes; each faculty replaceable, or None and absent.

    A faculty is any async callable `(state, context) -> Update`. Memory stands beside the others: it has a
    turn where the conversation is about to outgrow the subject's window, and whoever acted goes on. One of
    your own may have an async method `due(context)` to say when; without it, it acts when `Memory()` would.

    Raises:
        ValueError: not one faculty that acts is there, a tool is called `finish`, or two have one name.
    """

    name: str = "full"
    explore: Faculty | None = field(default_factory=Explore)
    plan: Faculty | None = field(default_factory=Plan)
    execute: Faculty | None = field(default_factory=Execute)
    repair: Faculty | None = field(default_factory=Repair)
    memory: Faculty | None = field(default_factory=Memory)
    tools: tuple[Tool, ...] = DEFAULT_TOOLS
    system: Prompt = field(default_factory=lambda: load("system"))

    def __post_init__(self) -> None:
        if not any(name in self.faculties for name in ORDER):
            raise ValueError("a scaffold needs a faculty that acts: give it explore, plan or execute")
        check_tools(self.tools)

    @cached_property
    def faculties(self) -> Mapping[str, Faculty]:
        """The faculties that are there, by name."""
        found = ((name, getattr(self, name)) for name in (*_ACTING, _MEMORY))
        return {name: faculty for name, faculty in found if faculty is not None}

    @property
    def prompts(self) -> dict[str, str]:
        """Digest of every prompt in use, by name: what the scaffold says, for the record."""
        texts = [self.system]
        for faculty in self.faculties.values():
            texts += [text for text in vars(faculty).values() if isinstance(text, Prompt)]
        return {text.name: text.digest for text in texts}

    def compile(self) -> CompiledStateGraph[Any, Any, Any, Any]:
        """Return the compiled LangGraph graph."""
        return self._compiled

    def mermaid(self) -> str:
        """Return a drawing of the graph."""
        return self._compiled.get_graph().draw_mermaid()

    @cached_property
    def _compiled(self) -> CompiledStateGraph[Any, Any, Any, Any]:
        acting = tuple(name for name in self.faculties if name != _MEMORY)
        beside = tuple(name for name in self.faculties if name == _MEMORY)
        groups = tuple(g for g in _GROUPS if any(tool.group == g for tool in self.tools))
        lead_on = self._leading(acting)
        graph = lg.StateGraph(State, context_schema=Context)
        graph.add_edge(lg.START, first_present(ORDER[0], acting))
        after_tools: list[str] = []
        for name in acting:
            faculty = self.faculties[name]
            followers = successors(getattr(faculty, "leads_to", None), acting, groups)
            if not set(groups).isdisjoint(followers):
                after_tools += [node for node in followers if node not in groups]
            graph.add_node(name, _turn_of(name, faculty, lead_on), destinations=_ends([*followers, *beside]))
        for group in groups:
            graph.add_node(group, _tools_of(group, lead_on), destinations=_ends([*after_tools, *beside]))
        if self.memory is not None:
            graph.add_node(_MEMORY, _memory_of(self.memory, lead_on), destinations=_ends(acting))
        return graph.compile(name=self.name)

    def _leading(self, acting: tuple[str, ...]) -> _LeadOn:
        """Return what decides which nodes are next, memory among them unless it had its turn just now."""
        after = int(getattr(self.repair, "after", 1))
        due = None if self.memory is None else getattr(self.memory, "due", Memory().due)
        present = acting if due is None else (*acting, _MEMORY)

        async def lead_on(state: State, context: Context, *, remembered: bool = False) -> list[str]:
            nodes = next_nodes(state, present, repair_after=after)
            if due is not None and not remembered and nodes[0] in acting and await due(context):
                return [_MEMORY]
            return nodes

        return lead_on

    async def run(self, instruction: str, env: Environment, *, context: Context) -> Episode:
        """Act until done, declined, stalled or out of budget; see `Scaffold.run`."""
        running = GraphScaffold(
            name=self.name,
            graph=self._compiled,
            tools=self.tools,
            system=self.system,
            faculties=tuple(self.faculties),
        )
        return await running.run(instruction, env, context=context)


def _ends(nodes: Sequence[str]) -> tuple[str, ...]:
    """Return where a node may lead to: these nodes, or the end."""
    return tuple(dict.fromkeys((*nodes, END)))


def _last_words(context: Context) -> str | None:
    """What the subject said last: the closing statement where no faculty is left to conclude."""
    said = (m.text for m in reversed(context.conversation.messages) if isinstance(m, AIMessage))
    return next(said, "") or None


class _LeadOn(Protocol):
    """Says which nodes are next."""

    async def __call__(self, state: State, context: Context, *, remembered: bool = False) -> list[str]: ...


def _turn_of(name: str, faculty: Faculty, lead_on: _LeadOn) -> Callable[..., Any]:
    """Return the node that has a faculty take one turn and then leads on.

    It leads on by a command: an edge of its own would cost LangGraph half as much again as the node.
    """

    async def node(state: State, runtime: Runtime[Context]) -> Command[str]:
        context = runtime.context
        entered = state["phase"] != name
        if entered:
            state = State(**{**state, "turns": 0, "stalls": 0, "failures": 0})
        update = Update(phase=name, turns=state["turns"] + 1, stalls=state["stalls"], hand_over=None)
        update.update(await faculty(state, context))
        if (end := context.bench.finish) is not None:
            summary = str(end.arguments.get("summary") or "")
            update.update(Update(done=True, stop="finished", submission=summary))
        settled = context.settle() or Update(pending=context.bench.groups())
        counted = _counted(state, Update(**{**settled, **update}))
        counted.setdefault("failures", state["failures"])
        return Command(update=counted, goto=await lead_on(State(**{**state, **counted}), context))

    return node


def _memory_of(faculty: Faculty, lead_on: _LeadOn) -> Callable[..., Any]:
    """Return the node that has memory take a turn; whoever acts next goes on in the state it was in."""

    async def node(state: State, runtime: Runtime[Context]) -> Command[str]:
        if state["hand_over"] == _MEMORY:  # a faculty asked for it: it goes on itself
            state = State(**{**state, "hand_over": None})
        update = Update(hand_over=state["hand_over"])
        update.update(await faculty(state, runtime.context))
        after = State(**{**state, **update})
        return Command(update=update, goto=await lead_on(after, runtime.context, remembered=True))

    return node


def _tools_of(group: str, lead_on: _LeadOn) -> Callable[..., Any]:
    """Return the node that runs the calls of one tool group."""

    async def node(state: State, runtime: Runtime[Context]) -> Command[str]:
        counted = _counted(state, await runtime.context.run_tools(state["phase"], group))
        after = State(**{**state, **counted})
        # Tool nodes of one super-step each see their own update alone: whoever settled leads on.
        goto = [] if after["pending"] else await lead_on(after, runtime.context)
        return Command(update=counted, goto=goto)

    return node


def _counted(state: State, update: Update) -> Update:
    """Add how many turns in a row have failed, where the update says how this one went."""
    if "failure" in update and "failures" not in update:
        update["failures"] = state["failures"] + 1 if update["failure"] is not None else 0
    return update


def react() -> FacultyScaffold:
    """Return the plain single loop: model, tools, model, tools, with nothing around it."""
    return FacultyScaffold(
        name="react",
        explore=None,
        plan=None,
        execute=Execute(prompt=None),
        repair=None,
        memory=None,
        system=load("react"),
    )
