"""Whole trials from the command line, in real sandboxes, against servers that do what servers should not.

What a server does makes a trial void, with a cause that says what it did. Nothing hangs, and nothing
throws a traceback at the user.
"""

from __future__ import annotations

import asyncio
import re
import socket
from contextlib import contextmanager
from functools import partial
from itertools import pairwise
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from aiohttp import web
from chat_server import ChatServer, completion, hang_up, serving_aside
from whole_trials import Call, apart, check, events, run_at

from ablation.record import read_log

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.timeout(60)

DONE = completion(None, calls=[("finish", '{"summary": "all done"}')])
LOOK = completion(None, calls=[("shell", '{"command": "ls"}')])


def refusing(status: int, said: str = "", **headers: str) -> web.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return web.Response(status=status, text=said, headers=named)


async def never(_: web.Request) -> web.StreamResponse:
    await asyncio.sleep(60)
    return web.Response()


async def reset(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def broken_off(request: web.Request, *, rudely: bool) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b'{"choices": [')
    assert request.transport is not None
    if rudely:
        request.transport.abort()
    else:
        request.transport.close()
    return response


def waits(server: ChatServer) -> list[float]:
    return [after - before for before, after in pairwise(server.times)]


LASTING: dict[str, tuple[Any, str]] = {
    "429": (refusing(429, '{"error": {"message": "slow down"}}'), "answered 429: slow down"),
    "500": (refusing(500, "<html>broken</html>"), "answered 500: <html>broken</html>"),
    "503": (refusing(503), "answered 503: nothing"),
    "garbage": (b"{not json", "answered 200 with something that is not JSON: b'{not json'"),
    "a page": (b"<html>log in</html>", "not JSON: b'<html>log in"),
    "nothing": (b"", "answered 200 with an empty body"),
    "no content": (web.Response(status=204), "answered 204 with an empty body"),
    "truncated": (partial(broken_off, rudely=False), "broke off its answer"),
    "reset in the middle": (partial(broken_off, rudely=True), "broke off its answer"),
    "reset before": (reset, "closed the connection without an answer"),
    "undecodable": (
        web.Response(body=b"plain", headers={"Content-Encoding": "gzip"}),
        "sent one that cannot be decoded",
    ),
    "empty choices": (b'{"choices": []}', r'answered 200 with no choices: {"choices":\[\]}'),
    "an error in a 200": (
        b'{"error": {"message": "overloaded"}}',
        "answered 200 with an error 500: overloaded",
    ),
    "no message": (b'{"choices": [{"index": 0}]}', r"malformed completion \(KeyError\): b'{\"choices\""),
    "content of another kind": (completion([1, 2]), "answered 200 with a malformed completion"),  # type: ignore[arg-type]
    "too deep to read": (b'{"choices":' * 5000 + b"1" + b"}" * 5000, "not JSON"),
}


@pytest.mark.parametrize("fault", LASTING)
def test_a_server_that_keeps_failing_is_asked_again_and_then_the_trial_is_void(
    attempt: Call, fault: str
) -> None:
    answer, said = LASTING[fault]
    with serving_aside(answer) as server:
        trial = attempt(server.url).trial
    assert (trial["outcome"], trial["stop"], trial["limit"]) == ("void", None, None)
    assert re.search(f"after 2 attempts: {re.escape(server.url)}.* {said}", trial["cause"])
    assert len(server.requests) == 2
    assert server.bodies[0] == server.bodies[1]


REFUSED: dict[str, tuple[web.Response, str]] = {
    "key": (
        refusing(401, '{"error": {"message": "bad key"}}'),
        "answered 401: bad key. Set the key in OPENAI_API_KEY",
    ),
    "model": (
        refusing(404, '{"error": {"message": "no model x"}}'),
        "answered 404: no model x. The server has x-large",
    ),
    "request": (refusing(400, '{"error": {"message": "no seeds here"}}'), "answered 400: no seeds here"),
    "rights": (refusing(403, '{"detail": "not for you"}'), "answered 403: not for you"),
    "elsewhere": (refusing(302, Location="http://127.0.0.1:9/v1"), "answered 302"),
}


@pytest.mark.parametrize("refused", REFUSED)
def test_what_asking_again_cannot_change_is_not_asked_again(attempt: Call, refused: str) -> None:
    answer, said = REFUSED[refused]
    with serving_aside(answer) as server:
        server.models = ["x-large"]
        trial = attempt(server.url).trial
    assert trial["outcome"] == "void"
    assert f"after 1 attempt: {server.url}/chat/completions {said}" in trial["cause"]
    assert len(server.requests) == 1


def test_the_subjects_own_doing_is_measured_when_the_server_has_recovered(attempt: Call) -> None:
    with serving_aside(refusing(429), DONE) as server:
        trial = attempt(server.url).trial
    assert (trial["outcome"], trial["stop"], trial["submission"]) == ("failure", "finished", "all done")
    assert len(server.requests) == 2
    assert [event["attempts"] for event in events("replied")] == [2]


def test_a_server_is_left_alone_for_as_long_as_it_asks(attempt: Call) -> None:
    with serving_aside(refusing(429, Retry_After="1"), refusing(503, Retry_After="0.3"), DONE) as server:
        trial = attempt(server.url, "--request-attempts", 3).trial
    assert trial["stop"] == "finished"
    first, second = waits(server)
    assert 1.0 <= first < 4
    assert 0.3 <= second < 4


def test_a_server_that_asks_for_an_hour_is_not_waited_for(attempt: Call) -> None:
    with serving_aside(refusing(429, Retry_After="3600")) as server:
        trial = attempt(server.url, "--request-attempts", 5).trial
    assert trial["outcome"] == "void"
    assert "answered 429: nothing (it asks to wait 3600 s)" in trial["cause"]
    assert len(server.requests) == 1
    assert trial["seconds"] < 5


def test_a_server_that_never_answers_makes_the_trial_void(attempt: Call) -> None:
    with serving_aside(never) as server:
        trial = attempt(server.url, "--max-seconds", 1).trial
    assert trial["outcome"] == "void"
    assert f"no usable answer: no answer within the trial's time (asked {server.url})" in trial["cause"]
    assert 0.9 <= trial["seconds"] < 5
    assert len(server.requests) == 1


def test_a_request_has_a_time_limit_of_its_own(attempt: Call) -> None:
    with serving_aside(never) as server:
        trial = attempt(server.url, "--request-timeout", 0.3).trial
    assert trial["outcome"] == "void"
    assert f"after 2 attempts: {server.url} did not answer within 0.3 s" in trial["cause"]


def test_time_that_a_server_asks_for_is_not_the_trials(attempt: Call) -> None:
    put_off = refusing(429, "busy", Retry_After="1.1")
    with serving_aside(put_off, put_off, put_off, DONE) as server:
        trial = attempt(server.url, "--max-seconds", 3, "--request-attempts", 4).trial
    assert (trial["outcome"], trial["stop"]) == ("failure", "finished")
    assert sum(waits(server)) >= 3.3
    (replied,) = events("replied")
    assert replied["waited_s"] >= 3.3
    assert trial["seconds"] < 3


def test_time_that_the_agent_used_up_is_the_agents(attempt: Call) -> None:
    slow_work = completion(None, calls=[("shell", '{"command": "sleep 1.2"}')])
    with serving_aside(slow_work, never) as server:
        trial = attempt(server.url, "--max-seconds", 2).trial
    assert (trial["outcome"], trial["limit"]) == ("limit", "seconds")


def test_what_a_server_bears_is_put_down_at_the_end(attempt: Call) -> None:
    with serving_aside(refusing(429), DONE) as server:
        attempt(server.url)
    (found,) = [each for each in read_log(Path("out/ledger.jsonl")) if each["kind"] == "pace"]
    assert (found["provider"], found["attempts"], found["refused"]) == (server.url, 2, 1)
    assert found["waited_s"] > 0


def test_an_answer_of_another_model_is_not_the_subjects(attempt: Call) -> None:
    with serving_aside({**LOOK, "model": "x-2024-08-06"}, {**DONE, "model": "cheap"}) as server:
        trial = attempt(server.url).trial
    assert trial["outcome"] == "void"
    assert "'cheap' answered where 'x' was asked" in trial["cause"]
    assert (trial["steps"], trial["tokens"]) == (2, 220)
    assert [event["served"] for event in events("replied")] == ["x-2024-08-06", "cheap"]


def test_another_model_may_be_meant(attempt: Call) -> None:
    with serving_aside({**DONE, "model": "cheap"}) as server:
        trial = attempt(server.url, "--served", "che*").trial
    assert (trial["outcome"], trial["stop"]) == ("failure", "finished")


def test_what_a_gateways_filter_stops_is_the_subjects_refusal(attempt: Call) -> None:
    said = '{"error": {"message": "The response was filtered", "code": "content_filter", "status": 400}}'
    with serving_aside(refusing(400, said)) as server:
        trial = attempt(server.url).trial
    assert (trial["outcome"], trial["stop"]) == ("refused", "refused")
    assert trial["submission"] == "The response was filtered"
    assert len(server.requests) == 1


def test_a_streaming_server_that_falls_silent_is_given_up_on(attempt: Call) -> None:
    async def silent(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b'data: {"choices": [{"delta": {"content": "I"}}]}\n\n')
        await asyncio.sleep(60)
        return response

    with serving_aside(silent) as server:
        trial = attempt(server.url, "--stream", "--idle-timeout", 0.2).trial
    assert trial["outcome"] == "void"
    assert "fell silent for 0.2 s in the middle of its answer" in trial["cause"]
    assert server.requests[0]["stream"] is True


def test_a_server_that_goes_away_in_the_middle_makes_the_trial_void(attempt: Call) -> None:
    with serving_aside(LOOK, hang_up(LOOK)) as server:
        trial = attempt(server.url).trial
    assert trial["outcome"] == "void"
    assert f"after 2 attempts: {server.url} cannot be reached: Connection refused" in trial["cause"]
    assert (trial["steps"], trial["tokens"]) == (3, 220)
    assert len(server.requests) == 2


@contextmanager
def saying(raw: bytes) -> Iterator[str]:
    """A server that says the same bytes to everybody, whatever they speak."""

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.recv(1 << 16)
                connection.sendall(raw)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_something_that_speaks_no_http_is_named_so(attempt: Call) -> None:
    with saying(b"SSH-2.0-OpenSSH_9.2\r\n") as url:
        trial = attempt(url).trial
    assert trial["outcome"] == "void"
    assert f"{url} answered something that is not HTTP (Bad status line" in trial["cause"]


def test_a_void_trial_is_run_again_and_its_attempts_are_counted(attempt: Call) -> None:
    with serving_aside(refusing(401), refusing(401), DONE) as server:
        said = attempt(server.url, "--void-retries", 2)
    assert (said.trial["outcome"], said.trial["attempt"]) == ("failure", 3)
    assert said.found["attempts"] == 3
    assert said.stderr.count("trial is void") == 2


def test_trials_side_by_side_outlive_a_server_that_fails_every_third_time(attempt: Call) -> None:
    asked = 0

    async def flaky(_: web.Request) -> web.StreamResponse:
        nonlocal asked
        asked += 1
        return refusing(500) if asked % 3 == 0 else web.json_response(completion("hm"))

    with serving_aside(flaky) as server:
        found = attempt(server.url, "--trials", 4, "--request-attempts", 5).found
    assert [trial["outcome"] for trial in found["trials"]] == ["failure"] * 4
    assert len(server.requests) > sum(trial["steps"] for trial in found["trials"])


def test_a_study_remembers_how_patient_it_was(call: Call, attempt: Call) -> None:
    with serving_aside(refusing(503)) as server:
        begun = attempt(server.url).found
        resumed = call("resume", "out", "--json")
    assert resumed.returncode == 1, resumed.stderr
    assert resumed.found["trials"] == begun["trials"]
    design = orjson.loads(Path("out/study.json").read_bytes())["design"]
    assert (design["void_retries"], design["subject"]["settings"]["patience"]["attempts"]) == (0, 2)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("localhost:8000", "not an http address: 'localhost:8000'; write it as http://HOST:PORT/v1"),
        ("http://127.0.0.1:99999/v1", "not an http address (Port out of range"),
        ("http://me:sk-secret@127.0.0.1/v1", "must hold no credentials; give a key instead"),
    ],
)
def test_an_address_that_cannot_be_used_is_wrong_use(call: Call, url: str, said: str) -> None:
    shown = call(*run_at(url))
    assert shown.returncode == 2
    assert said in shown.stderr
    assert shown.stderr.count("\n") == 1
    assert not Path("out").exists()


def test_a_wrong_key_is_told_on_the_terminal_and_never_shown(tmp_path: Path) -> None:
    with serving_aside(refusing(401, '{"error": {"message": "bad key sk-secret"}}')) as server:
        said = apart(*run_at(server.url), cwd=tmp_path, OPENAI_API_KEY="sk-secret")
    assert said.returncode == 1
    for shown in (said.stdout, said.stderr):
        assert "answered 401: bad key ***. Set another key in OPENAI_API_KEY" in " ".join(shown.split())
        assert "sk-secret" not in shown
    assert "Traceback" not in said.stderr
    assert server.headers[0]["Authorization"] == "Bearer sk-secret"
    written = b"".join(path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file())
    assert b"answered 401" in written
    assert b"sk-secret" not in written
    assert len(server.requests) == 3


def test_as_it_comes_a_server_is_asked_five_times_with_longer_and_longer_waits(call: Call) -> None:
    with serving_aside(refusing(429)) as server:
        said = call(*run_at(server.url), "--json", "--void-retries", 0)
    check(said)
    assert said.trial["outcome"] == "void"
    assert "after 5 attempts" in said.trial["cause"]
    ceilings = (0.5, 1.0, 2.0, 4.0)
    assert all(wait < ceiling + 1 for wait, ceiling in zip(waits(server), ceilings, strict=True))
    assert sum(waits(server)) > 0.1
