"""How a careful person would do it: run what the guide says, read what goes wrong, and mend that first."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from environments import Rebooted
from scenarios.suites.hurdles.world import DESK

if TYPE_CHECKING:
    from environments import Environment, ExecResult

__all__ = ["Commands", "made", "run_errand", "served", "shell", "told"]

ROUNDS = 40
MENDS = (
    (
        r"No such file or directory: '(?P<one>[^']+)'",
        """to=$(realpath -ms "$1"); from=$(sed -n "s|.*moved $to to \\(.*\\)\\. Nothing.*|\\1|p" ~/notes/*.md)
           mkdir -p "$(dirname "$to")" && cp "$from" "$to" """,
    ),
    (r"Permission denied: '(?P<one>[^']+)'", 'chmod u+rw "$1"'),
    (r"(?P<one>[\w/]+\.lock) is there: process (?P<two>\d+)", '[ -e "/proc/$2" ] || rm -f "$1"'),
    (r"No module named '(?P<one>\w+)'", 'tar -xzf ~/packages/"$1"-*.tar.gz -C lib'),
    (r"tally: (?P<one>\w+) does not answer", 'python3 -IS peer.py "$1"'),
    (
        r"Read-only file system",
        "[ ! -d /run/restart ] || { sed -n 's/^    //p' ~/notes/restart.md | sh; sleep 60; }",
    ),
    (r"No space left on device", "sed -n 's/^    //p' ~/notes/disk.md | sh"),
)
"""What a program says -> what mends it, given what it names. Run in the desk."""
CHANGES = (
    (r"did not answer on port \d+ within", "tally.py", "tally.py --wait 60"),
    (r"is of \S+, not of \S+, and by its time stamp", "tally.py", "tally.py --all"),
)
"""What a program says -> how its command is changed."""


class Commands(NamedTuple):
    """What the guide says is to be run."""

    tally: str
    serve: str


async def run_errand(env: Environment, /) -> str:
    """Make the statement, then serve it."""
    commands = await told(env)
    await made(env, commands)
    said = await served(env, commands)
    return f"The statement is made. {said.strip()}"


async def shell(env: Environment, script: str, *arguments: str) -> ExecResult:
    """Run a bash script in the desk; on a machine that is started anew meanwhile, once it is up again."""
    argv = ["bash", "-c", script, "bash", *arguments]
    try:
        return await env.exec(argv, cwd=DESK, timeout_s=110.0)
    except Rebooted:
        return await env.exec(argv, cwd=DESK, timeout_s=110.0)


async def told(env: Environment) -> Commands:
    """Read the guide that holds now: where there are several, the one revised last."""
    names = (await shell(env, "grep -H -m1 'Revision of' *.md | sort -t: -k2")).text.split("\n")
    newest = next((line.partition(":")[0] for line in reversed(names) if line), "README.md")
    guide = (await shell(env, 'cat "$1"', newest)).text
    lines = [line.strip() for line in guide.splitlines() if line.startswith("    ")]
    tally = next(line for line in lines if "tally.py" in line)
    return Commands(tally, next(line for line in lines if "serve.py" in line))


async def made(env: Environment, commands: Commands) -> str:
    """Make the statement."""
    return await _done(env, commands.tally)


async def served(env: Environment, commands: Commands) -> str:
    """Serve it, on the next port where one is taken."""
    return await _done(env, commands.serve)


async def _done(env: Environment, command: str) -> str:
    """Run a command until it does what it should, mending what it names on the way."""
    said = ""
    for _ in range(ROUNDS):
        result = await shell(env, command)
        said = result.text
        if result.ok:
            break
        command = await _mended(env, command, said)
    return said


async def _mended(env: Environment, command: str, said: str) -> str:
    for pattern, script in MENDS:
        if found := re.search(pattern, said):
            await shell(env, script, *(value for value in found.groupdict().values() if value))
            return command
    for pattern, old, new in CHANGES:
        if re.search(pattern, said):
            return command.replace(old, new, 1)
    if "Address already in use" in said:
        return re.sub(r"--port (\d+)", lambda port: f"--port {int(port[1]) + 1}", command)
    return command
