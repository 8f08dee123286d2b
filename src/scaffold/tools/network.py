"""The network tools. They need nothing on the machine but bash: no curl, no python."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pydantic import BaseModel, Field

from scaffold.tools.function import FunctionTool
from scaffold.tools.outcome import outcome_of
from scaffold.types import ToolOutcome

if TYPE_CHECKING:
    from environments import Environment

__all__ = ["HTTP_REQUEST", "LIST_PORTS"]

_SECONDS = 15.0
# Local address and state of each socket, as the kernel tells it; 0A is LISTEN.
_PORTS = r"""
while read -r _ local _ state _; do
  [ "$state" = 0A ] && echo "listening: port $((16#${local##*:}))"
done < <(cat /proc/net/tcp /proc/net/tcp6 2>/dev/null) | sort -u
"""


class _Request(BaseModel):
    url: str = Field(description="http://HOST:PORT/PATH")
    method: str = Field(default="GET", pattern="^[A-Z]{1,10}$")
    body: str = Field(default="")
    headers: dict[str, str] = Field(default_factory=dict)


class _Nothing(BaseModel):
    pass


async def _request(arguments: _Request, env: Environment) -> ToolOutcome:
    try:
        parts = urlsplit(arguments.url)
        host, port = parts.hostname, parts.port or 80
    except ValueError as error:
        return ToolOutcome(text=f"{arguments.url!r} is not a URL: {error}", failed=True)
    if parts.scheme != "http" or not host:
        return ToolOutcome(text="Only http://HOST:PORT/PATH can be requested.", failed=True)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    body = arguments.body.encode(errors="replace")
    headers = {"Host": f"{host}:{port}", "Connection": "close", "Content-Length": str(len(body))}
    if body:
        headers["Content-Type"] = "application/json"
    headers |= arguments.headers
    lines = [
        f"{arguments.method} {target} HTTP/1.1",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    if any("\r" in line or "\n" in line for line in lines):
        return ToolOutcome(text="A header holds a line break.", failed=True)
    request = "\r\n".join(lines).encode() + b"\r\n\r\n" + body
    text = f"exec 3<>/dev/tcp/{shlex.quote(host)}/{port} && cat >&3 && cat <&3"
    return outcome_of(await env.exec(["bash", "-c", text], stdin=request, timeout_s=_SECONDS))


async def _ports(_: _Nothing, env: Environment) -> ToolOutcome:
    return outcome_of(await env.exec(["bash", "-c", _PORTS]))


HTTP_REQUEST = FunctionTool(
    name="http_request",
    group="network",
    description="Send an HTTP request and return the whole answer, headers included.",
    arguments=_Request,
    function=_request,
)
LIST_PORTS = FunctionTool(
    name="list_ports",
    group="network",
    description="List the TCP ports that accept connections on this machine.",
    arguments=_Nothing,
    function=_ports,
)
