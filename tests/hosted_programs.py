"""Small programs to be kept on hosts, and what is left of them."""

from __future__ import annotations

import asyncio
import os
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from environments.hosting import Host

__all__ = ["EVERYWHERE", "FAMILY", "asked", "gone", "gone_here", "lines", "pids", "until"]

# A child, one in a session of its own, and an orphan in another.
_FAMILY = """
pid() { echo "pid $1"; }
pid $$; sleep 1000 & pid $!; setsid sleep 1000 & pid $!; (setsid sh -c 'echo pid $$; exec sleep 1000' &)
wait
"""
FAMILY = ["sh", "-c", _FAMILY]
"""Four processes, which say who they are."""
_SERVER = """
import http.server, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(os.environ["WORD"].encode() * 100_000 + self.path[1:].encode())
    def log_message(self, *_):
        pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
print("listening", flush=True)
server.serve_forever()
"""


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(120):
        while not condition():  # noqa: ASYNC110  it looks at processes and files, which tell nobody
            await asyncio.sleep(0.01)


def lines(log: Path) -> list[str]:
    return log.read_text().splitlines() if log.exists() else []


def pids(log: Path) -> list[int]:
    return [int(line.split()[1]) for line in lines(log) if line.startswith("pid ")]


async def gone(host: Host, processes: list[int]) -> bool:
    """Whether none of the host's processes with these numbers runs any more."""
    names = " ".join(f"/proc/{pid}/stat" for pid in processes)
    found = await host.look(["sh", "-c", f"cat {names} 2>/dev/null | grep -v ') Z '"])
    return not found.stdout


def gone_here(processes: list[int]) -> bool:
    for pid in processes:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if state != "Z":
            return False
        assert os.getpid() != pid
    return True


def asked(port: int, path: str) -> bytes:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=60) as answer:
        said: bytes = answer.read()
        return said


async def output_comes_while_it_runs_and_the_environment_is_seen_by_nobody(host: Host, folder: Path) -> None:
    log = folder / "kept" / "log"
    argv = ["sh", "-c", 'echo "$WORD"; echo "$WORD" >&2; exec sleep 1000']
    async with host.program(argv, environ={"WORD": "unspoken"}, log=log):
        await until(lambda: lines(log) == ["unspoken", "unspoken"])
        seen = await host.look(["sh", "-c", "cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' '"])
    assert b"sleep 1000" in seen.stdout
    assert b"unspoken" not in seen.stdout


async def a_port_is_reached(host: Host, folder: Path) -> None:
    port = await host.free_port()
    argv = ["python3", "-c", _SERVER, str(port)]
    async with (
        host.program(argv, environ={"WORD": "hello"}, log=folder / "log"),
        host.reach(port) as here,
    ):
        await until(lambda: lines(folder / "log") == ["listening"])
        answers = await asyncio.gather(*(asyncio.to_thread(asked, here, path) for path in "abcd"))
    assert answers == [b"hello" * 100_000 + path.encode() for path in "abcd"]


async def it_ends_with_all_that_it_has_started(host: Host, folder: Path) -> None:
    log = folder / "log"
    async with host.program(FAMILY, environ={}, log=log) as program:
        await until(lambda: len(pids(log)) == 4)
        assert not await gone(host, pids(log))
    assert await gone(host, pids(log))
    assert await program.ended() == 143


async def it_ends_when_whoever_holds_it_is_cancelled_again_and_again(host: Host, folder: Path) -> None:
    log = folder / "log"

    async def hold() -> None:
        async with host.program(FAMILY, environ={}, log=log) as program:
            await program.ended()

    holding = asyncio.create_task(hold())
    await until(lambda: len(pids(log)) == 4)
    while not holding.done():
        holding.cancel()
        await asyncio.sleep(0.01)
    assert holding.cancelled()
    assert await gone(host, pids(log))


EVERYWHERE = (
    output_comes_while_it_runs_and_the_environment_is_seen_by_nobody,
    a_port_is_reached,
    it_ends_with_all_that_it_has_started,
    it_ends_when_whoever_holds_it_is_cancelled_again_and_again,
)
"""What is tried on hosts of every kind, given the host and a folder."""
