"""A scaffold that is a program inside the machine: any command-line agent that speaks chat completions."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from environments import Unavailable
from scaffold.broker import open_door
from scaffold.errors import BudgetSpent
from scaffold.events import FacultyEntered
from scaffold.types import FacultyUse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from environments import Environment, ExecResult
    from scaffold.broker import Door
    from scaffold.context import Context
    from scaffold.types import Episode

__all__ = ["InsideAgent"]

FACULTY = "inside"
_SPARE_S = 86_400.0
"""The command's own time limit lies so far behind the budget's, whose clock may stand: the budget is what
ends it."""


@dataclass(frozen=True, kw_only=True)
class InsideAgent:
    """Runs an agent program in the machine, as the machine's user, and answers its calls to the model.

    The program finds the endpoint in OPENAI_BASE_URL, its key in OPENAI_API_KEY and the model's name in
    MODEL. Its calls are budgeted, paced and recorded like those of any other scaffold; what it does on the
    machine beside them is its own affair, and only the oracle looks at it.

    Raises:
        ValueError: no command, or a file's path that is not relative to the home directory.

    Example:
        ```python
        InsideAgent(
            name="my-agent",
            files={"agent.py": Path("agent.py").read_text()},
            command=("python3", "agent.py"),
        )
        ```
    """

    name: str
    command: tuple[str, ...]
    """Run in the home directory of the machine's user."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Path below the home directory -> text: the program, where the machine does not have it already."""
    environ: Mapping[str, str] = field(default_factory=dict)
    """Variables besides the three; for settings of the program. Never put a secret there."""
    instruction: Literal["argument", "stdin"] = "argument"
    """Whether the instruction is the command's last argument or what it reads."""
    port: int = 28377
    """Of the endpoint inside; where something has it, the next that is free."""
    last_lines: int = 1
    """Lines at the end of what the program prints that are its closing statement."""
    patience_s: float = 10.0
    """How long the program may go on after a budget that it was told of has run out."""

    def __post_init__(self) -> None:
        if not self.command:
            raise ValueError(
                f"{self.name}: an agent inside needs a command, for example ('python3', 'agent.py')"
            )
        for path in self.files:
            if path.startswith("/") or ".." in path.split("/"):
                raise ValueError(f"{self.name}: {path!r} must be a path below the home directory")

    @property
    def faculties(self) -> tuple[str, ...]:
        """What its calls are recorded under."""
        return (FACULTY,)

    async def run(self, instruction: str, env: Environment, *, context: Context) -> Episode:
        """Run the program to its end, within the budget; see `Scaffold.run`.

        Raises:
            Unavailable: the machine has no gate, or the subject cannot answer a program.
            ModelFailed: the subject's server failed, and the program could not go on.
        """
        gate = context.gate
        if gate is None:
            raise Unavailable(
                f"{self.name} is a program inside the machine, and {env.name} lets none reach its model",
                mend="take a machine with a gate: sandbox, lab, container or an SSH host",
            )
        if context.key.lineage.broker.serves is None:
            raise Unavailable(
                f"{self.name} speaks chat completions, and this subject does not answer them as they are",
                mend="take openai:NAME, simulated:PROFILE or a LangChain chat model, without --tools text",
            )
        if context.placement == "system":
            raise Unavailable(
                f"{self.name} is a program with a system message of its own: no instruction can be put there",
                mend="leave --placement out",
            )
        context.emit(FacultyEntered(step=0, faculty=FACULTY, generation=context.key.generation))
        try:
            async with (
                context.meter.running(),
                open_door(
                    context.key.lineage, gate, port=self.port, seed=context.seed, machine=context.key.machine
                ) as door,
            ):
                result = await self._played(instruction, env, context, door)
        except BudgetSpent as spent:
            return context.episode("limit", limit=spent.limit)
        finally:
            key = context.key
            context.uses[FACULTY] = FacultyUse(
                entered=1, turns=key.calls, tool_calls=key.tool_calls, tokens=key.usage.tokens
            )
        return self._episode(context, door, result)

    async def _played(
        self, instruction: str, env: Environment, context: Context, door: Door
    ) -> ExecResult | None:
        """Return what the program came to; None where it went on after its budget had run out."""
        for path, text in self.files.items():
            await env.write(env.home / path, text.encode())
        given = {
            **self.environ,
            "OPENAI_BASE_URL": door.address,
            "OPENAI_API_KEY": context.key.token,
            "MODEL": door.serves,
        }
        argv = ["env", *(f"{name}={value}" for name, value in given.items()), *self.command]
        on_stdin = self.instruction == "stdin"
        left_s = context.meter.deadline - asyncio.get_running_loop().time()
        impatience = asyncio.timeout(None)

        def hurry() -> None:
            impatience.reschedule(asyncio.get_running_loop().time() + self.patience_s)

        door.on_limit = hurry
        try:
            async with impatience:
                return await env.exec(
                    argv if on_stdin else [*argv, instruction],
                    stdin=instruction.encode() if on_stdin else b"",
                    timeout_s=max(left_s, 0.0) + _SPARE_S,
                )
        except TimeoutError:
            if not impatience.expired():
                raise
            return None

    def _episode(self, context: Context, door: Door, result: ExecResult | None) -> Episode:
        said = None if result is None else self._last_words(result.stdout)
        if door.limit is not None:
            return context.episode("limit", limit=door.limit, submission=said)
        if door.fault is not None:
            raise door.fault
        if door.refused and not context.acted:
            return context.episode("refused", submission=said)
        return context.episode("finished" if result is not None and result.ok else "stalled", submission=said)

    def _last_words(self, printed: bytes) -> str | None:
        lines = [line for line in printed.decode(errors="replace").splitlines() if line.strip()]
        return "\n".join(lines[-self.last_lines :]) or None
