"""The built-in tools against real processes, files and sockets."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from scaffold.bench import Bench
from scaffold.tools import DEFAULT_TOOLS
from scaffold.tools.outcome import MOST_CHARACTERS, shortened
from scaffold.types import ToolCall

if TYPE_CHECKING:
    from environments import Environment
    from scaffold.types import ToolOutcome

pytestmark = pytest.mark.anyio


async def use(machine: Environment, name: str, **arguments: Any) -> ToolOutcome:
    return await Bench(DEFAULT_TOOLS).run(ToolCall(id="1", name=name, arguments=arguments), machine)


async def test_shell_tells_output_and_status(machine: Environment) -> None:
    assert (await use(machine, "shell", command="echo hello")).text == "hello"
    wrong = await use(machine, "shell", command="echo oh >&2; exit 3")
    assert wrong.failed
    assert wrong.text == "oh\n[exit status 3]"


async def test_shell_ends_at_its_time_limit(machine: Environment) -> None:
    late = await use(machine, "shell", command="sleep 30", timeout_s=0.2)
    assert late.failed
    assert "ran out of time" in late.text


async def test_long_output_keeps_head_and_tail_and_says_what_is_missing(machine: Environment) -> None:
    told = (await use(machine, "shell", command="echo first; seq 100000; echo last")).text
    assert len(told) < MOST_CHARACTERS + 100
    assert told.startswith("first")
    assert told.endswith("last")
    assert re.search(r"\[\.\.\. \d+ characters left out \.\.\.\]", told)


def test_what_the_machine_dropped_is_told_too() -> None:
    assert "[... 500 characters left out ...]" in shortened("ab", dropped=500)


async def test_files_are_written_read_and_listed(machine: Environment) -> None:
    assert not (await use(machine, "write_file", path="deep/note.txt", content="one\n")).failed
    assert (await use(machine, "read_file", path="deep/note.txt")).text == "one\n"
    assert "note.txt" in (await use(machine, "list_directory", path="~/deep")).text


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("read_file", {"path": "absent"}),
        ("read_file", {"path": "/"}),
        ("list_directory", {"path": "absent"}),
        ("write_file", {"path": "/proc/version", "content": "x"}),
        ("stop_process", {"pid": 2**22 + 1}),
        ("http_request", {"url": "http://127.0.0.1:1/"}),
        ("http_request", {"url": "https://127.0.0.1/"}),
        ("http_request", {"url": "http://[broken"}),
        ("http_request", {"url": "http://127.0.0.1:99999/"}),
        ("http_request", {"url": "http://127.0.0.1/", "headers": {"a": "b\r\nc: d"}}),
    ],
)
async def test_what_cannot_be_done_is_told_as_a_failure(
    machine: Environment, name: str, arguments: dict[str, Any]
) -> None:
    outcome = await use(machine, name, **arguments)
    assert outcome.failed
    assert outcome.text


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("shell", {"command": "echo a\0b"}),
        ("shell", {"command": "echo \ud800"}),
        ("read_file", {"path": "a\0b"}),
        ("read_file", {"path": "\ud800"}),
        ("write_file", {"path": "a\0b", "content": ""}),
        ("list_directory", {"path": "a\0b"}),
        ("start_process", {"command": "true", "log": "a\0b"}),
        ("http_request", {"url": "http://127.0.0.1:1/\ud800"}),
    ],
)
async def test_text_no_machine_can_take_is_the_subjects_failure_not_ours(
    machine: Environment, name: str, arguments: dict[str, Any]
) -> None:
    assert (await use(machine, name, **arguments)).failed


@pytest.mark.parametrize(
    "arguments", [{}, {"command": 7}, {"command": "true", "timeout_s": -1}, {"command": None}]
)
async def test_arguments_that_do_not_fit_are_explained(
    machine: Environment, arguments: dict[str, Any]
) -> None:
    outcome = await use(machine, "shell", **arguments)
    assert outcome.failed
    assert "command" in outcome.text or "timeout_s" in outcome.text


async def test_a_long_command_line_is_listed_with_its_beginning(machine: Environment) -> None:
    started = await use(machine, "start_process", command=f"exec sleep 4322 {'0' * 9000}")
    pid = int(re.findall(r"pid (\d+)", started.text)[0])
    try:
        listed = (await use(machine, "list_processes")).text
        (line,) = [line for line in listed.splitlines() if re.match(rf" *{pid} ", line)]
        assert "sleep 4322 000" in line
        assert len(line) < 500
    finally:
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)


async def test_a_process_is_started_seen_and_stopped(machine: Environment) -> None:
    started = await use(machine, "start_process", command="echo up; exec sleep 4321", log="a log.txt")
    assert not started.failed
    pid = int(re.findall(r"pid (\d+)", started.text)[0])
    try:
        assert re.search(rf"\b{pid} \S sleep 4321", (await use(machine, "list_processes")).text)
        assert (await use(machine, "read_file", path="a log.txt")).text == "up\n"
        assert not (await use(machine, "stop_process", pid=pid)).failed
        await asyncio.sleep(0.1)
        assert "sleep 4321" not in (await use(machine, "list_processes")).text
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


async def test_a_program_that_ends_at_once_shows_why(machine: Environment) -> None:
    outcome = await use(machine, "start_process", command="echo port is taken >&2; exit 5")
    assert outcome.failed
    assert "port is taken" in outcome.text
    assert "[exit status 5]" in outcome.text


async def test_http_and_ports_need_nothing_but_bash(machine: Environment) -> None:
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(re.findall(rb"Content-Length: (\d+)", head)[0])
        heard.append(head + await reader.readexactly(length))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\npong")
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        url = f"http://127.0.0.1:{port}/ping?a=1"
        answered = await use(
            machine, "http_request", method="POST", url=url, body='{"x": "\u00e9"}', headers={"X-A": "b"}
        )
        assert f"port {port}" in (await use(machine, "list_ports")).text
    assert not answered.failed
    assert answered.text.startswith("HTTP/1.1 200 OK")
    assert answered.text.endswith("pong")
    assert heard[0].startswith(b"POST /ping?a=1 HTTP/1.1\r\n")
    assert b"X-A: b\r\n" in heard[0]
    assert heard[0].endswith('{"x": "\u00e9"}'.encode())
