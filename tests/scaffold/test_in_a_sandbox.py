"""The built-in tools and the time budget on the embedded machine."""

from __future__ import annotations

import asyncio
import re
import time
from typing import TYPE_CHECKING, Any

import pytest

from environments.sandbox import Sandbox
from scaffold import Budget, Context, ToolCall, ToolOutcome, react
from scaffold.bench import Bench
from scaffold.models.scripted import Scripted, call
from scaffold.tools import DEFAULT_TOOLS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from environments import Lease

pytestmark = pytest.mark.anyio


@pytest.fixture
async def lease() -> AsyncIterator[Lease]:
    async with Sandbox().open(label="scaffold tests", seed=0) as opened:
        yield opened


async def use(lease: Lease, name: str, **arguments: Any) -> ToolOutcome:
    return await Bench(DEFAULT_TOOLS).run(ToolCall(id="1", name=name, arguments=arguments), lease.agent)


async def test_shell_and_files(lease: Lease) -> None:
    assert (await use(lease, "shell", command="pwd")).text == str(lease.agent.home)
    assert (await use(lease, "shell", command="echo no >&2; exit 7")).text == "no\n[exit status 7]"
    assert (
        await use(lease, "write_file", path="~/a/b.txt", content="\u00e9\0\n")
    ).text == "[4 bytes written]"
    assert (await use(lease, "read_file", path="a/b.txt")).text == "\u00e9\0\n"
    assert (await use(lease, "shell", command=": > empty")).text == "[no output]"
    assert (await use(lease, "read_file", path="empty")).text == "[empty file]"
    assert "b.txt" in (await use(lease, "list_directory", path="a")).text


async def test_what_the_machine_says_no_to(lease: Lease) -> None:
    refused: list[tuple[str, dict[str, Any], str]] = [
        ("read_file", {"path": "absent"}, "No such file"),
        ("read_file", {"path": "/"}, "Is a directory"),
        ("read_file", {"path": "/dev/zero"}, "larger than"),
        ("write_file", {"path": "/proc/here", "content": ""}, ""),
        ("list_directory", {"path": "absent"}, "No such file"),
        ("stop_process", {"pid": 2**22 + 1}, "No such process"),
        ("http_request", {"url": "http://localhost:1/"}, "refused"),
        ("shell", {"command": "sleep 30", "timeout_s": 0.3}, "ran out of time"),
        ("shell", {"command": "echo a\0b"}, "cannot be passed on"),
        ("shell", {"command": "echo \ud800"}, "cannot be passed on"),
    ]
    for name, arguments, told in refused:
        outcome = await use(lease, name, **arguments)
        assert outcome.failed, name
        assert told in outcome.text
    assert (await use(lease, "shell", command="echo still here")).text == "still here"


async def test_a_server_is_started_found_asked_and_stopped(lease: Lease) -> None:
    await use(lease, "write_file", path="site/index.html", content="hello")
    command = "exec python3 -m http.server 8123 --bind 127.0.0.1 --directory site"
    started = await use(lease, "start_process", command=command, log="server.log")
    pid = int(re.findall(r"pid (\d+)", started.text)[0])
    wait = "for i in {1..100}; do (: </dev/tcp/127.0.0.1/8123) 2>/dev/null && exit; sleep 0.1; done; exit 1"
    assert not (await use(lease, "shell", command=wait)).failed
    assert "listening: port 8123" in (await use(lease, "list_ports")).text
    assert re.search(
        rf"^ *{pid} \S python3 .*http.server", (await use(lease, "list_processes")).text, re.MULTILINE
    )
    page = await use(lease, "http_request", url="http://127.0.0.1:8123/index.html")
    assert page.text.startswith("HTTP/1.0 200")
    assert page.text.endswith("hello")
    assert "404" in (await use(lease, "http_request", url="http://127.0.0.1:8123/absent")).text
    assert "GET /index.html" in (await use(lease, "read_file", path="server.log")).text
    assert (await use(lease, "stop_process", pid=pid)).text == "[signalled]"
    await use(lease, "shell", command=f"for i in {{1..50}}; do [ -e /proc/{pid} ] || exit 0; sleep 0.1; done")
    assert "8123" not in (await use(lease, "list_ports")).text
    assert (await use(lease, "http_request", url="http://127.0.0.1:8123/")).failed


async def test_time_that_runs_out_during_a_command_ends_the_command(lease: Lease) -> None:
    slow = Scripted(replies=[[call("shell", command="sleep 30 & sleep 30")]])
    context = Context.start(env=lease.agent, model=slow, budget=Budget(seconds=0.5))
    began = time.monotonic()
    episode = await react().run("Wait.", lease.agent, context=context)
    assert time.monotonic() - began < 3
    assert (episode.stop, episode.limit) == ("limit", "seconds")
    await asyncio.sleep(0.2)  # the kernel takes a moment to bury what was killed
    assert not [process for process in await lease.control.processes() if "sleep" in process.argv]
