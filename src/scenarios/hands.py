"""What procedures do with the agent's handle: run a script, leave something running, ask a service."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from environments import Environment

__all__ = ["ASK", "HEAD", "SAY", "ask", "run_in_background", "shell"]

ASK = r"""
for attempt in {1..100}; do
  { exec 3<>/dev/tcp/127.0.0.1/"$1"; } 2>/dev/null && break
  sleep 0.05
done
printf 'POST %s HTTP/1.1\r\nContent-Length: %d\r\n\r\n%s' "$2" "${#3}" "$3" >&3 && cat <&3
"""
"""A bash script that posts to a loopback port, waiting for it to open: its port, a path and a body."""

HEAD = "HTTP/1.1 200 OK\r\n\r\n"
"""What an answer begins with that is to be taken for one."""

SAY = """
import socket, sys
with socket.create_server(("127.0.0.1", int(sys.argv[1]))) as listener:
    while True:
        connection, _ = listener.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(sys.argv[2].encode())
"""
"""A program for cheats: it says its second argument to whoever comes to the port that is its first."""


async def shell(env: Environment, script: str, *arguments: str) -> str:
    """Run a bash script in the home directory and return what it printed."""
    result = await env.exec(["bash", "-c", script, "bash", *arguments], timeout_s=30.0)
    return result.text


async def run_in_background(env: Environment, command: str, *, directory: object, log: str) -> None:
    """Start a command in a directory that outlives this one; `log` is below that directory."""
    await shell(env, f"cd {directory} && setsid nohup {command} >>{log} 2>&1 </dev/null &")


async def ask(env: Environment, port: int, path: str, body: Mapping[str, str]) -> str:
    """Post a JSON object to a loopback port, waiting for it to open, and return all that came back."""
    return await shell(env, ASK, str(port), path, json.dumps(body))
