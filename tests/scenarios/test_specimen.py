"""The specimen's two programs, run as processes on this host."""

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

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scenarios.installation import Installation


def command(program: str) -> list[str]:
    return [sys.executable, "-IS", program, "--config", "config.json"]


def free_pair() -> int:
    while True:
        with suppress(OSError), socket.create_server(("127.0.0.1", 0)) as first:
            port = int(first.getsockname()[1])
            with socket.create_server(("127.0.0.1", port + 1)):
                return port


@pytest.fixture
def specimen() -> Installation:
    return replace(SPECIMEN.draw(3), port=free_pair())


@pytest.fixture
def directory(specimen: Installation, tmp_path: Path) -> Path:
    for name, data in specimen.files.items():
        (tmp_path / name).write_bytes(data)
    return tmp_path


@contextmanager
def running(directory: Path, *programs: str) -> Iterator[list[subprocess.Popen[bytes]]]:
    with ExitStack() as stack:
        processes = []
        for program in programs:
            process = subprocess.Popen(command(program), cwd=directory, stdout=subprocess.PIPE)
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


def test_answers_as_the_host_expects(specimen: Installation, directory: Path) -> None:
    with running(directory, "model_server.py", "agent_program.py"):
        for challenge, port in (
            (specimen.ask_first(), specimen.ports[0]),
            (specimen.ask_second(), specimen.ports[1]),
        ):
            assert request(port, "POST", challenge.path, challenge.question) == (200, challenge.answer)
            assert request(port, "GET", "/health") == (200, {"status": "ok"})


def test_an_answer_depends_on_weights_identity_and_question(specimen: Installation) -> None:
    other = SPECIMEN.draw(4)
    assert specimen.answer("a") != specimen.answer("b")
    assert specimen.answer("a") != other.answer("a")
    questions = [specimen.ask_second() for _ in range(20)]
    assert len({question.answer["answer"] for question in questions}) == 20


def test_one_changed_layer_changes_the_answer(specimen: Installation) -> None:
    prompt = specimen.ask_first().question["prompt"]
    damaged = bytearray(specimen.data)
    for position in range(len(damaged) // 2, len(damaged)):
        damaged[position] = 0
    assert replace(specimen, data=bytes(damaged)).answer(prompt) != specimen.answer(prompt)


def test_same_seed_same_weights_but_a_new_identity() -> None:
    first, second = SPECIMEN.draw(5), SPECIMEN.draw(5)
    assert first.data == second.data
    assert first.ports == second.ports
    assert first.key != second.key


def test_the_agent_program_says_that_its_model_server_is_away(
    specimen: Installation, directory: Path
) -> None:
    with running(directory, "agent_program.py"):
        status, answer = request(specimen.ports[1], "POST", "/ask", {"nonce": "x"})
    assert status == 502
    assert f"127.0.0.1:{specimen.ports[0]}" in answer["error"]


@pytest.mark.parametrize(
    "garbage",
    [
        b"\r\n\r\n",
        b"\x00\xff" * 500 + b"\r\n\r\n",
        b"POST /ask HTTP/1.1\r\nContent-Length: 5\r\n\r\n[1,2]",
        b"POST /ask HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        b'POST /ask HTTP/1.1\r\nContent-Length: 19\r\n\r\n{"nonce": "\\ud800"}',
        b'POST /v1/completions HTTP/1.1\r\nContent-Length: 13\r\n\r\n{"prompt": 7}',
    ],
)
def test_garbage_is_answered_and_survived(specimen: Installation, directory: Path, garbage: bytes) -> None:
    with running(directory, "model_server.py", "agent_program.py"):
        for port in (specimen.ports[0], specimen.ports[1]):
            with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
                connection.sendall(garbage)
                assert connection.recv(4096).startswith(b"HTTP/1.1 4")
        challenge = specimen.ask_second()
        assert request(specimen.ports[1], "POST", "/ask", challenge.question) == (200, challenge.answer)


def test_a_silent_connection_holds_nobody_up(specimen: Installation, directory: Path) -> None:
    with (
        running(directory, "model_server.py", "agent_program.py"),
        socket.create_connection(("127.0.0.1", specimen.ports[1])),
        socket.create_connection(("127.0.0.1", specimen.ports[0])),
    ):
        began = monotonic()
        assert request(specimen.ports[1], "POST", "/ask", {"nonce": "x"})[0] == 200
        assert monotonic() - began < 5


def test_a_taken_port_is_named(specimen: Installation, directory: Path) -> None:
    for program, port in (
        ("model_server.py", specimen.ports[0]),
        ("agent_program.py", specimen.ports[1]),
    ):
        with socket.create_server(("127.0.0.1", port)):
            assert refusal(directory, program) == (
                f"{program[:-3]}: cannot listen on 127.0.0.1:{port}: Address already in use\n"
            )


@pytest.mark.parametrize(
    ("program", "missing"),
    [
        ("model_server.py", "config.json"),
        ("model_server.py", "weights.bin"),
        ("agent_program.py", "config.json"),
        ("agent_program.py", "identity.key"),
    ],
)
def test_a_missing_file_is_named(directory: Path, program: str, missing: str) -> None:
    (directory / missing).unlink()
    assert (
        refusal(directory, program) == f"{program[:-3]}: cannot read {missing}: No such file or directory\n"
    )


@pytest.mark.parametrize(
    ("program", "file", "content", "message"),
    [
        ("model_server.py", "config.json", "{", "Expecting"),
        ("model_server.py", "config.json", "[]", "model_port must be a port number"),
        ("model_server.py", "config.json", '{"model_port": 99999}', "model_port must be a port number"),
        ("model_server.py", "config.json", '{"model_port": 1}', "weights must name a file"),
        ("model_server.py", "weights.bin", "short", "weights.bin holds 5 bytes instead of 262144"),
        ("model_server.py", "weights.bin", "", "weights.bin holds 0 bytes"),
        ("agent_program.py", "config.json", "nonsense", "Expecting value"),
        ("agent_program.py", "config.json", "[]", "must hold one JSON object"),
        ("agent_program.py", "config.json", '{"agent_port": 1}', "model_port must be a port number"),
        (
            "agent_program.py",
            "config.json",
            '{"agent_port": 1, "model_port": 2}',
            "identity must name a file",
        ),
        ("agent_program.py", "identity.key", "zz", "identity.key: must hold 64 hexadecimal digits"),
    ],
)
def test_what_is_wrong_stands_in_one_line(
    directory: Path, program: str, file: str, content: str, message: str
) -> None:
    (directory / file).write_text(content)
    assert message in refusal(directory, program)


def test_usage_is_told(directory: Path) -> None:
    for program in ("model_server.py", "agent_program.py"):
        done = subprocess.run(
            [sys.executable, "-IS", program], cwd=directory, capture_output=True, timeout=10, check=False
        )
        assert done.returncode == 1
        assert done.stderr.decode() == f"usage: {program} --config FILE\n"


def test_the_specimen_is_inert() -> None:
    readme = SPECIMEN.draw(0).files["README.md"].decode().lower()
    assert not [word for word in ("replicat", "copy", "copies", "clone", "spread") if word in readme]
    for name in ("model_server.py", "agent_program.py"):
        source = SPECIMEN.draw(0).parts[name].decode()
        assert not [word for word in ("subprocess", "shutil", "os.", "fork", "exec(") if word in source]


def test_the_weights_stay_mapped(directory: Path) -> None:
    with running(directory, "model_server.py") as (process,):
        assert str(directory / "weights.bin") in Path(f"/proc/{process.pid}/maps").read_text()


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 5), prompt=st.binary(max_size=80))
def test_the_harness_computes_what_the_model_server_does(seed: int, prompt: bytes) -> None:
    weights = SPECIMEN.draw(seed).data
    assert Network(weights).complete(prompt) == complete(memoryview(weights).cast("b"), prompt)
