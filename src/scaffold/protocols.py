"""The extension points of a scaffold. Each is one method; any object that has it will do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    from langchain_core.messages import BaseMessage
    from pydantic import BaseModel

    from environments import Environment
    from scaffold.context import Context
    from scaffold.types import Episode, Relayed, Reply, State, ToolOutcome, Update, Window

__all__ = [
    "Faculty",
    "Gauge",
    "Model",
    "ModelOfGenerations",
    "RecallingModel",
    "RelayingModel",
    "Scaffold",
    "Subject",
    "Tool",
    "ToolGroup",
]

ToolGroup = Literal["shell", "file", "process", "network", "finish"]


@runtime_checkable
class Scaffold(Protocol):
    """Any agent loop: it is given an instruction and a machine, and comes to an end."""

    @property
    def name(self) -> str:
        """Names the scaffold in designs and reports."""
        ...

    async def run(self, instruction: str, env: Environment, *, context: Context) -> Episode:
        """Act until done, declined, stalled or out of budget.

        Raises:
            ModelFailed: the subject's server gave no usable answer.
            Broken: the machine failed.
        """
        ...


class Faculty(Protocol):
    """One cognitive part of the loop. A call is one turn; the state machine calls again as needed.

    One that declares `leads_to` (names of faculties, and "tools") may lead to no other node; without it,
    the graph is drawn with an edge to each.
    """

    async def __call__(self, state: State, context: Context, /) -> Update:
        """Take one turn and say what changed."""
        ...


class Tool(Protocol):
    """Something a subject may do to its machine."""

    @property
    def name(self) -> str:
        """As the subject calls it."""
        ...

    @property
    def group(self) -> ToolGroup:
        """The tool node that runs it; `finish` ends the episode instead."""
        ...

    @property
    def description(self) -> str:
        """For the subject."""
        ...

    @property
    def arguments(self) -> type[BaseModel]:
        """Arguments as a pydantic model: the schema sent to the subject, and the check on its calls."""
        ...

    async def run(self, arguments: BaseModel, env: Environment, /) -> ToolOutcome:
        """Act on the machine. What the machine says no to is an outcome, not an exception."""
        ...


class Gauge(Protocol):
    """What can be known of a request before it is sent. Nothing here costs more for a longer history."""

    @property
    def tokenizer(self) -> Callable[[str], int] | None:
        """Counts the tokens of a text; None where the user gave none."""
        ...

    async def window(self) -> Window:
        """How much the subject takes at once; looked up once."""
        ...

    def size(
        self,
        messages: Sequence[BaseMessage],
        *,
        tools: Sequence[Tool],
        tool_choice: Literal["auto", "none"] = "auto",
    ) -> int | None:
        """Return the bytes of a request; None where nobody writes it before it is sent."""
        ...

    async def tokens(
        self,
        messages: Sequence[BaseMessage],
        *,
        tools: Sequence[Tool],
        tool_choice: Literal["auto", "none"] = "auto",
    ) -> int | None:
        """Have the server's own tokenizer count a request, for where it matters; None where it has none."""
        ...


class Model(Protocol):
    """A connected subject that answers conversations.

    One that can tell sizes beforehand has a `gauge` (see `Gauge`); without it no window is known.
    """

    async def ask(
        self,
        messages: Sequence[BaseMessage],
        *,
        tools: Sequence[Tool],
        tool_choice: Literal["auto", "none"] = "auto",
        seed: int | None = None,
    ) -> Reply:
        """Answer a conversation; faults of the server are retried inside.

        Raises:
            ModelFailed: no usable answer could be had.
        """
        ...


@runtime_checkable
class RelayingModel(Model, Protocol):
    """A connected subject that also answers requests of the chat-completions protocol as they are."""

    @property
    def serves(self) -> str:
        """What its server calls the model."""
        ...

    async def relay(self, request: Mapping[str, Any], *, seed: int | None = None) -> Relayed:
        """Answer a request: messages, tools and settings as a client sent them, the model's name aside.

        Args:
            request: the client's JSON object.
            seed: where the client gives none.

        Raises:
            ModelFailed: no usable answer could be had.
        """
        ...


@runtime_checkable
class RecallingModel(Model, Protocol):
    """A connected subject that knows what it has answered before."""

    def recall(
        self,
        messages: Sequence[BaseMessage],
        *,
        tools: Sequence[Tool],
        tool_choice: Literal["auto", "none"] = "auto",
        seed: int | None = None,
    ) -> Reply | None:
        """Return the answer to a conversation where there is one already; nobody is asked."""
        ...

    def recall_relayed(self, request: Mapping[str, Any], *, seed: int | None = None) -> Relayed | None:
        """Return the answer to a program's request where there is one already; nobody is asked."""
        ...


@runtime_checkable
class ModelOfGenerations(Model, Protocol):
    """A connected subject that has to know which generation's loop asks."""

    def of_generation(self, number: int) -> Model:
        """Return what answers one generation; 0 is the trial's own agent."""
        ...


class Subject(Protocol):
    """A model under test, before it is connected."""

    @property
    def name(self) -> str:
        """As on the command line, for example `openai:gpt-4o` or `simulated:steady`."""
        ...

    @property
    def simulated(self) -> bool:
        """True for a stand-in; its results are labelled SIMULATED wherever they are shown."""
        ...

    def connect(self) -> AbstractAsyncContextManager[Model]:
        """Open the connection that all trials of a study share."""
        ...
