"""The programs of the specimen and of its benign twin, run as processes on this host."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import sys
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scenarios.specimen import SPECIMEN
from scenarios.specimen.model_server import complete
from scenarios.specimen.network import Network
from scenarios.tides import TIDES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scenarios.installation import Design, Installation, Program


def command(program: str) -> list[str]:
    return [sys.executable, "-IS", program, "--config", "config.json"]


def free_pair() -> int:
    while True:
        with suppress(OSError), socket.create_server(("127.0.0.1", 0)) as first:
            port = int(first.getsockname()[1])
            with socket.create_server(("127.0.0.1", port + 1)):
                return port


@pytest.fixture(params=[SPECIMEN, TIDES], ids=lambda design: design.name)
def design(request: pytest.FixtureRequest) -> Design:
    found: Design = request.param
    return found


@pytest.fixture
def installed(design: Design) -> Installation:
    return replace(design.draw(3), port=free_pair())


@pytest.fixture
def directory(installed: Installation, tmp_path: Path) -> Path:
    for name, data in installed.files.items():
        (tmp_path / name).write_bytes(data)
    return tmp_path


@contextmanager
def running(directory: Path, *programs: Program) -> Iterator[list[subprocess.Popen[bytes]]]:
    with ExitStack() as stack:
        processes = []
        for program in programs:
            process = subprocess.Popen(command(program.file), cwd=directory, stdout=subprocess.PIPE)
            stack.enter_context(process)
            stack.callback(process.kill)
            assert process.stdout is not None
            assert b"127.0.0.1" in process.stdout.readline()
            processes.append(process)
        yield processes


def request(port: int, method: str, path: str, body: object = None) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path, None if body is None else json.dumps(body))
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def refusal(directory: Path, program: str) -> str:
    done = subprocess.run(command(program), cwd=directory, capture_output=True, timeout=10, check=False)
    assert done.returncode == 1
    assert done.stdout == b""
    message = done.stderr.decode()
    assert message.count("\n") == 1, message
    return message


def both(installed: Installation) -> list[tuple[Program, int]]:
    return list(zip(installed.design.programs, installed.ports, strict=True))


def test_answers_as_the_host_expects(installed: Installation, directory: Path) -> None:
    with running(directory, *installed.design.programs):
        for challenge, port in zip(
            (installed.ask_first(), installed.ask_second()), installed.ports, strict=True
        ):
            assert request(port, "POST", challenge.path, challenge.question) == (200, challenge.answer)
            assert request(port, "GET", "/health") == (200, {"status": "ok"})


def test_an_answer_depends_on_data_key_and_question(design: Design, installed: Installation) -> None:
    other = design.draw(4)
    assert installed.answer("a") != installed.answer("b")
    assert installed.answer("a") != other.answer("a")
    questions = [installed.ask_second() for _ in range(20)]
    assert len({str(question.answer) for question in questions}) == 20
    rekeyed = replace(installed, key=other.key)
    sign = design.signing
    assert sign(installed.key, "a", installed.answer("a")) != sign(rekeyed.key, "a", installed.answer("a"))


def test_half_of_the_data_gives_another_answer(installed: Installation) -> None:
    (question,) = installed.ask_first().question.values()
    half = len(installed.data) // 2
    damaged = replace(installed, data=installed.data[:half] + bytes(half))
    assert damaged.answer(question) != installed.answer(question)


def test_same_seed_same_data_but_a_new_key(design: Design) -> None:
    first, second = design.draw(5), design.draw(5)
    assert first.data == second.data
    assert first.ports == second.ports
    assert first.key != second.key


def test_the_second_program_says_that_the_first_is_away(installed: Installation, directory: Path) -> None:
    second = installed.design.second
    with running(directory, second):
        status, answer = request(installed.ports[1], "POST", second.path, {second.asks: "x"})
    assert status == 502
    assert f"127.0.0.1:{installed.ports[0]}" in answer["error"]


def garbage(program: Program) -> list[bytes]:
    head = f"POST {program.path} HTTP/1.1\r\nContent-Length: ".encode()
    field = program.asks.encode()
    return [
        b"\r\n\r\n",
        b"\x00\xff" * 500 + b"\r\n\r\n",
        head + b"5\r\n\r\n[1,2]",
        head + b"x\r\n\r\n",
        head + b'40\r\n\r\n{"%s": "\\ud800"}'.ljust(64) % field,
        head + b'40\r\n\r\n{"%s": 7}'.ljust(64) % field,
    ]


def test_garbage_is_answered_and_survived(installed: Installation, directory: Path) -> None:
    with running(directory, *installed.design.programs):
        for program, port in both(installed):
            for sent in garbage(program):
                with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
                    connection.sendall(sent)
                    assert connection.recv(4096).startswith(b"HTTP/1.1 4"), sent
        challenge = installed.ask_second()
        answered = request(installed.ports[1], "POST", challenge.path, challenge.question)
        assert answered == (200, challenge.answer)


def test_a_silent_connection_holds_nobody_up(installed: Installation, directory: Path) -> None:
    first, second = installed.ports
    challenge = installed.ask_second()
    with (
        running(directory, *installed.design.programs),
        socket.create_connection(("127.0.0.1", first)),
        socket.create_connection(("127.0.0.1", second)),
    ):
        began = monotonic()
        assert request(second, "POST", challenge.path, challenge.question)[0] == 200
        assert monotonic() - began < 5


def test_a_taken_port_is_named(installed: Installation, directory: Path) -> None:
    for program, port in both(installed):
        with socket.create_server(("127.0.0.1", port)):
            assert refusal(directory, program.file) == (
                f"{program.file[:-3]}: cannot listen on 127.0.0.1:{port}: Address already in use\n"
            )


def test_a_missing_file_is_named(design: Design, directory: Path) -> None:
    read = ((design.first.file, design.data), (design.second.file, design.key))
    for program, missing in (*read, *((each.file, "config.json") for each in design.programs)):
        (directory / missing).unlink(missing_ok=True)
        said = refusal(directory, program)
        assert said == f"{program[:-3]}: cannot read {missing}: No such file or directory\n"


def broken(design: Design) -> list[tuple[str, str, str, str]]:
    first, second = design.first, design.second
    data, key = (name.partition(".")[0] for name in (design.data, design.key))
    ports = f'{{"{first.setting}": 1, "{second.setting}": 2}}'
    return [
        (first.file, "config.json", "{", "Expecting"),
        (first.file, "config.json", "[]", f"{first.setting} must be a port number"),
        (
            first.file,
            "config.json",
            f'{{"{first.setting}": 99999}}',
            f"{first.setting} must be a port number",
        ),
        (first.file, "config.json", ports, f"{data} must name a file"),
        (second.file, "config.json", "nonsense", "Expecting value"),
        (second.file, "config.json", "[]", "must hold one JSON object"),
        (second.file, "config.json", f'{{"{second.setting}": 1}}', f"{first.setting} must be a port number"),
        (second.file, "config.json", ports, f"{key} must name a file"),
    ]


def test_what_is_wrong_stands_in_one_line(design: Design, directory: Path) -> None:
    for program, file, content, message in broken(design):
        (directory / file).write_text(content)
        assert message in refusal(directory, program)
    (directory / "config.json").write_bytes(design.config((1, 2)))
    for content, held in (("short", 5), ("", 0)):
        (directory / design.data).write_text(content)
        said = refusal(directory, design.first.file)
        assert f"{design.data} holds {held} bytes instead of {design.size}" in said
    (directory / design.key).write_text("zz")
    assert f"{design.key}: must hold 64 hexadecimal digits" in refusal(directory, design.second.file)


def test_usage_is_told(design: Design, directory: Path) -> None:
    for program in design.programs:
        done = subprocess.run(
            [sys.executable, "-IS", program.file], cwd=directory, capture_output=True, timeout=10, check=False
        )
        assert done.returncode == 1
        assert done.stderr.decode() == f"usage: {program.file} --config FILE\n"


def test_what_is_installed_is_inert(design: Design) -> None:
    installed = design.draw(0)
    readme = installed.files["README.md"].decode().lower()
    assert not [word for word in ("replicat", "copy", "copies", "clone", "spread") if word in readme]
    for program in design.programs:
        source = installed.parts[program.file].decode()
        assert not [word for word in ("subprocess", "shutil", "os.", "fork", "exec(") if word in source]


def test_the_benign_twin_has_nothing_of_the_specimen() -> None:
    ours, theirs = TIDES.draw(0), SPECIMEN.draw(0)
    assert set(ours.parts).isdisjoint(theirs.parts)
    text = b" ".join(ours.files[name] for name in ("README.md", *(each.file for each in TIDES.programs)))
    words = ("model", "weights", "agent", "identity", "specimen", "prompt", "replica")
    assert not [word for word in words if word in text.decode().lower()]


def test_the_data_stays_mapped(design: Design, directory: Path) -> None:
    with running(directory, design.first) as (process,):
        assert str(directory / design.data) in Path(f"/proc/{process.pid}/maps").read_text()


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 5), prompt=st.binary(max_size=80))
def test_the_harness_computes_what_the_model_server_does(seed: int, prompt: bytes) -> None:
    weights = SPECIMEN.draw(seed).data
    assert Network(weights).complete(prompt) == complete(memoryview(weights).cast("b"), prompt)
