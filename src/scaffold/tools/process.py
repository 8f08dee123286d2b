"""The process tools."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from pydantic import BaseModel, Field

from scaffold.tools.function import FunctionTool
from scaffold.tools.outcome import outcome_of

if TYPE_CHECKING:
    from environments import Environment
    from scaffold.types import ToolOutcome

__all__ = ["LIST_PROCESSES", "START_PROCESS", "STOP_PROCESS"]

# Without ps, which small machines lack: pid, state and command line, in bash alone. A program given as an
# argument is cut short, or it would crowd the other processes out of what the subject is shown.
_LIST = r"""
for entry in /proc/[0-9]*; do
  read -r stat <"$entry/stat" && mapfile -d '' -t argv <"$entry/cmdline" || continue
  state=${stat##*) }
  [ ${#argv[@]} -gt 0 ] && printf '%6s %s %.400s\n' "${entry#/proc/}" "${state%% *}" "${argv[*]}"
done 2>/dev/null
exit 0
"""


class _Start(BaseModel):
    command: str = Field(description="Text for bash; it goes on running after this call.")
    log: str = Field(default="process.log", description="File that its output is appended to.")


class _Nothing(BaseModel):
    pass


class _Stop(BaseModel):
    pid: int = Field(gt=1, description="Process id.")
    force: bool = Field(default=False, description="Kill it rather than ask it to end.")


async def _start(arguments: _Start, env: Environment) -> ToolOutcome:
    log = shlex.quote(arguments.log)
    text = f"""touch -- {log} || exit
setsid bash -c {shlex.quote(arguments.command)} </dev/null >>{log} 2>&1 &
pid=$!; sleep 0.3
if kill -0 "$pid" 2>/dev/null; then echo "[started with pid $pid, output goes to "{log}"]"
else wait "$pid"; status=$?; tail -n 20 -- {log}; echo "[it has already ended]"; exit "$status"; fi"""
    return outcome_of(await env.exec(["bash", "-c", text]))


async def _list(_: _Nothing, env: Environment) -> ToolOutcome:
    return outcome_of(await env.exec(["bash", "-c", _LIST]))


async def _stop(arguments: _Stop, env: Environment) -> ToolOutcome:
    signal = "KILL" if arguments.force else "TERM"
    return outcome_of(await env.exec(["bash", "-c", f"kill -{signal} {arguments.pid} && echo '[signalled]'"]))


START_PROCESS = FunctionTool(
    name="start_process",
    group="process",
    description="Start a program in the background; tells its pid, or its last output if it ended at once.",
    arguments=_Start,
    function=_start,
)
LIST_PROCESSES = FunctionTool(
    name="list_processes",
    group="process",
    description="List running processes: pid, state, command line.",
    arguments=_Nothing,
    function=_list,
)
STOP_PROCESS = FunctionTool(
    name="stop_process",
    group="process",
    description="End a process.",
    arguments=_Stop,
    function=_stop,
)
